"""The thesis plan's task: its losses by phase, a teacher's flow, a backbone that stands still, the scan in fp32."""

from dataclasses import replace

import pytest
import torch

from tests.models.interp.toy import TOY
from tests.recipes.toy_feed import SMALL, triples
from tween.core import TweenError
from tween.losses import CompositeWeights, composite, geometry, teacher_distillation
from tween.models.interp.config import with_block
from tween.models.interp.net import HybridNet
from tween.models.interp.thesis_task import ThesisTask, ThesisWeights
from tween.nn import mamba2


def task(config=SMALL, **fields):
    torch.manual_seed(0)
    return ThesisTask(HybridNet(config), **fields)


@pytest.mark.parametrize(
    ("phase", "names"),
    [
        (1, {"loss_lap", "loss_ter"}),
        (2, {"loss_lap", "loss_ter", "loss_flow_smooth"}),
        (3, {"loss_lap", "loss_ter", "loss_flow_smooth"}),
    ],
)
def test_the_losses_of_each_phase_are_the_composites(phase, names):
    made, batch = task(replace(SMALL, phase=phase)), triples(0)
    terms = made.loss("main", batch, 0)
    image0, truth, image1 = batch.frames.unbind(1)
    expected = composite(made.modules["net"](image0, image1, batch.t), truth, image0, image1, phase=phase)
    assert terms.keys() == expected.keys() == names
    assert all(torch.equal(terms[name], expected[name]) for name in names)


def test_its_weights_and_features_are_passed_on():
    weights = ThesisWeights(composite=CompositeWeights(lap=0.0, ter=2.0))
    plain, batch = task().loss("main", triples(0), 0), triples(0)
    terms = task(weights=weights, vgg=lambda x: [x] * 5).loss("main", batch, 0)
    assert terms.keys() == {"loss_ter", "loss_vgg", "loss_flow_smooth"}
    torch.testing.assert_close(terms["loss_ter"], 2 * plain["loss_ter"])


@pytest.mark.parametrize("size", [(64, 64), (64, 50)])
def test_geometry_reaches_the_context_and_the_flow(size):
    alone = CompositeWeights(lap=0.0, ter=0.0, flow_smooth=0.0, geometry=0.5)
    made, batch = task(weights=ThesisWeights(composite=alone)), triples(0, size=size)
    terms = made.loss("main", batch, 0)
    assert terms.keys() == {"loss_geometry"}
    net, (image0, truth, image1) = made.modules["net"], batch.frames.unbind(1)
    filled = net(image0, image1, batch.t, context=True)
    torch.testing.assert_close(terms["loss_geometry"], 0.5 * geometry(filled.context, net.context_of(truth)))
    terms["loss_geometry"].backward()
    reached = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None}
    assert reached == {"context", "flow"}
    assert all(p.grad.abs().sum() > 0 for p in net.context.parameters())


def test_geometry_can_be_learned_from():
    alone = CompositeWeights(lap=0.0, ter=0.0, flow_smooth=0.0, geometry=1.0)
    made, batch = task(weights=ThesisWeights(composite=alone)), triples(0)
    learner = torch.optim.AdamW(made.modules["net"].flow.parameters(), 1e-3)
    losses = []
    for _ in range(15):
        learner.zero_grad()
        loss = made.loss("main", batch, 0)["loss_geometry"]
        loss.backward()
        learner.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("fields", [{"phase": 1}, {"warp": "image"}])
def test_geometry_of_a_network_that_carries_nothing_is_refused(fields):
    weights = ThesisWeights(composite=CompositeWeights(geometry=0.01))
    with pytest.raises(TweenError, match="phase 1 or of warp='image' has not"):
        task(replace(SMALL, **fields), weights=weights)


def test_a_teachers_flow_pulls_where_it_is_known():
    weights = ThesisWeights(distill=0.5, doubt=0.0)
    made, batch = task(weights=weights), triples(0, known=1.0)
    loss = made.loss("main", batch, 0)["loss_distill"]
    image0, _, image1 = batch.frames.unbind(1)
    filled = made.modules["net"](image0, image1, batch.t)
    student = torch.cat((filled.flow_t0, filled.flow_t1), 1)
    torch.testing.assert_close(loss, 0.5 * teacher_distillation(student, batch.flow, doubt=0.0))
    half = replace(batch, known=torch.tensor([1.0, 0.0]), flow=batch.flow.clone())
    half.flow[1] = torch.nan  # nobody looks there
    first = teacher_distillation(student[:1], batch.flow[:1], doubt=0.0)
    torch.testing.assert_close(made.loss("main", half, 0)["loss_distill"], 0.5 * first)
    unknown = made.loss("main", triples(0), 0)["loss_distill"]
    assert unknown == 0
    assert "loss_distill" not in task(replace(SMALL, phase=1), weights=weights).loss("main", batch, 0)


def test_a_teacher_can_be_learned_from():
    made = task(weights=ThesisWeights(distill=1.0, doubt=0.0, composite=CompositeWeights(lap=0.0, ter=0.0)))
    batch = triples(0, known=1.0)
    learner = torch.optim.AdamW(made.modules["net"].flow.parameters(), 1e-3)
    losses = []
    for _ in range(15):
        learner.zero_grad()
        loss = made.loss("main", batch, 0)["loss_distill"]
        loss.backward()
        learner.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_every_parameter_is_owned_once_and_the_backbone_begins_later():
    made = task(freeze=7)
    groups = made.params()["main"]
    owned = [p for group in groups for p in group["params"]]
    assert len(owned) == len(set(owned))
    assert set(owned) == set(made.modules.parameters())
    late = {p for group in groups if group["begin"] == 7 for p in group["params"]}
    assert late == set(made.modules["net"].backbone.parameters())
    assert {group["begin"] for group in groups} == {0, 7}


def test_a_network_without_backbone_has_nothing_to_freeze():
    made = task(replace(SMALL, flow_only=True), freeze=7)
    assert made.freeze == 0
    assert {group["begin"] for group in made.params()["main"]} == {0}
    assert made.loss("main", triples(0), 0)["loss_lap"] > 0


@pytest.mark.parametrize(("step", "drops"), [(6, False), (7, True)])
def test_frozen_it_drops_no_paths(step, drops):
    made = task(with_block(SMALL, drop_path=0.5), freeze=7)
    made.modules.train()
    losses = []
    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        losses.append(made.loss("main", triples(0), step)["loss_lap"].item())
    assert (len(set(losses)) > 1) is drops


@pytest.mark.parametrize("fp32", [True, False])
def test_within_bf16_the_scan_takes_fp32_where_asked(monkeypatch, fp32):
    seen = []
    scan = mamba2.ssd

    def spy(x, dt, A, B, C, D, **rest):
        y = scan(x, dt, A, B, C, D, **rest)
        seen.append((x.dtype, dt.dtype, A.dtype, y.dtype))
        return y

    monkeypatch.setattr(mamba2, "ssd", spy)
    made = task(with_block(TOY, ssd_fp32=fp32))
    with torch.autocast("cpu", torch.bfloat16):
        made.loss("main", triples(0, 1, (48, 48)), 0)["loss_lap"].backward()
    tokens = torch.float32 if fp32 else torch.bfloat16
    assert set(seen) == {(tokens, torch.float32, torch.float32, tokens)}
    assert len(seen) == 4 * sum(TOY.depths)
