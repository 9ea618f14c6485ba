"""The task learns, every weight has a part in it, and each term is least where it should be."""

import math

import pytest
import torch

from tests.models.interp.test_match import keys, steady
from tests.models.interp.toy import TOY_FAST, TOY_QUALITY
from tween.data.clips import Triples
from tween.losses import charbonnier, laplacian
from tween.models.interp.fast import FastNet, rescale_flow
from tween.models.interp.quality import QualityNet
from tween.models.interp.task import (
    InterpTask,
    Teacher,
    Weights,
    blend,
    compare,
    flow_error,
    match_error,
    mean_over_flips,
)

TERMS = {"laplacian", "charbonnier", "census", "coarse", "teacher", "distill", "flow", "match"}


def batch(n=4, h=64, w=96, v=(6.0, 2.0), known=1.0):
    """A smooth texture that moves by `v` between the frames; t differs from sample to sample."""
    t = torch.linspace(0.25, 0.75, n)
    y, x = torch.meshgrid(torch.arange(h) / 9.0, torch.arange(w) / 7.0, indexing="ij")

    def frame(s):
        dx, dy = (s[:, None, None] * c / k for c, k in zip(v, (7.0, 9.0), strict=True))
        waves = [torch.sin(x - dx + y - dy + i) + torch.cos(2 * (x - dx) - i) for i in range(3)]
        return 0.5 + 0.2 * torch.stack(waves, 1)

    flow = torch.tensor(v).view(1, 2, 1, 1).expand(n, 2, h, w)
    s = t.view(-1, 1, 1, 1)
    return Triples(
        frames=torch.stack((frame(0 * t), frame(t), frame(0 * t + 1)), 1),
        t=t,
        flow=torch.cat((-s * flow, (1 - s) * flow), 1),
        between=torch.cat((flow, -flow), 1),
        known=torch.full((n,), known),
    )


def task(seed=0, **weights):
    torch.manual_seed(seed)
    return InterpTask(FastNet(TOY_FAST), Weights(**weights))


def test_it_is_pulled_to_a_tutors_mean_over_flips():
    tutor = FastNet(TOY_FAST).requires_grad_(False).eval()
    torch.manual_seed(0)
    learner = InterpTask(FastNet(TOY_FAST), Weights(flips=2.0), tutor=tutor)
    data = batch(n=2)
    image0, _, image1 = data.frames.unbind(1)
    mean = mean_over_flips(tutor, image0, image1, data.t, (64, 96))
    one_by_one = [
        mean_over_flips(tutor, image0[i : i + 1], image1[i : i + 1], data.t[i : i + 1], (64, 96))
        for i in (0, 1)
    ]
    torch.testing.assert_close(mean, torch.cat(one_by_one), atol=1e-5, rtol=0)
    turned = mean_over_flips(tutor, image0.flip(-1), image1.flip(-1), data.t, (64, 96)).flip(-1)
    torch.testing.assert_close(turned, mean, atol=1e-5, rtol=0)
    made = learner.modules["net"](image0, image1, data.t).prediction
    terms = learner.loss("main", data, 0)
    assert terms.keys() == TERMS | {"flips"}
    expected = 2 * (charbonnier(made, mean) + laplacian(made, mean))
    torch.testing.assert_close(terms["flips"], expected, rtol=1e-4, atol=0)
    terms["flips"].backward()
    assert all(p.grad is None for p in tutor.parameters())
    assert not set(tutor.parameters()) & set(learner.modules.parameters())


def step(task, data, optimizer):
    optimizer.zero_grad()
    terms = task.loss("main", data, 0)
    sum(terms.values()).backward()
    optimizer.step()
    return {name: value.item() for name, value in terms.items()}


@pytest.fixture(scope="module")
def trained():
    """A task after some steps on one batch, with the terms of each."""
    learner, data = task(), batch(n=2)
    optimizer = torch.optim.AdamW(learner.params()["main"], lr=2e-3, betas=(0.9, 0.95))
    return learner, data, [step(learner, data, optimizer) for _ in range(14)]


def test_the_loss_falls_on_one_batch(trained):
    first, last = trained[2][0], trained[2][-1]
    assert first.keys() == last.keys() == TERMS
    assert sum(last.values()) < 0.7 * sum(first.values())
    for term in ("laplacian", "charbonnier", "teacher", "flow"):
        assert last[term] < first[term], term


@pytest.fixture(scope="module")
def refined(trained):
    """`quality` from what `fast` has learnt, after some steps on the same batch, with the loss of each."""
    torch.manual_seed(1)
    net, rate = QualityNet(TOY_QUALITY), 2e-3
    net.fast.load_state_dict(trained[0].modules["net"].state_dict())
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    learner, data = InterpTask(net, inner={"lr": 0.1 * rate}), trained[1]
    optimizer = torch.optim.AdamW(learner.params()["main"], lr=rate, betas=(0.9, 0.95))
    return learner, data, before, [step(learner, data, optimizer) for _ in range(8)]


def test_quality_begins_where_fast_is_and_the_loss_falls(trained, refined):
    first, last = refined[3][0], refined[3][-1]
    assert first.keys() == TERMS
    with torch.no_grad():
        reached = trained[0].loss("main", trained[1], 0)
    for term in ("laplacian", "charbonnier", "census", "match"):
        assert first[term] == pytest.approx(reached[term].item(), rel=1e-4), term
    assert first["coarse"] > reached["coarse"]  # the corrected flow's own picture comes on top
    assert sum(last.values()) < 0.95 * sum(first.values())
    assert last["laplacian"] < first["laplacian"]


def test_the_fast_inside_moves_less(refined):
    learner, _, before, _ = refined
    moved = {n: (p - before[n]).abs().max() for n, p in learner.modules["net"].named_parameters()}
    inside = [moved[n] for n in moved if n.startswith("fast.")]
    outside = [moved[n] for n in moved if not n.startswith("fast.")]
    assert 0 < max(inside) < 0.2 * max(outside)


def test_every_parameter_of_quality_is_owned_once_and_has_a_gradient(refined):
    learner, data, *_ = refined
    groups = learner.params()["main"]
    owned = [p for group in groups for p in group["params"]]
    assert len(owned) == len(set(owned))
    assert set(owned) == set(learner.modules.parameters())
    slow = {p for group in groups if "lr" in group for p in group["params"]}
    assert slow == set(learner.core.parameters())
    learner.modules.zero_grad()
    sum(learner.loss("main", data, 0).values()).backward()
    assert [n for n, p in learner.modules.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_every_parameter_has_a_gradient(trained):
    learner, data, _ = trained
    learner.modules.zero_grad()
    sum(learner.loss("main", data, 0).values()).backward()
    assert [n for n, p in learner.modules.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_every_parameter_is_owned_once():
    learner = task()
    groups = learner.params()["main"]
    owned = [p for group in groups for p in group["params"]]
    assert len(owned) == len(set(owned))
    assert set(owned) == set(learner.modules.parameters())
    assert groups[1]["weight_decay"] == 0.0
    assert list(learner.turns(0)) == ["main"]


def test_the_weights_scale_the_terms():
    data = batch(n=1)
    plain, scaled = task(), task(coarse=0.0, match=0.02)
    one, two = plain.loss("main", data, 0), scaled.loss("main", data, 0)
    assert two["coarse"] == 0
    torch.testing.assert_close(two["match"], 2 * one["match"])
    torch.testing.assert_close(two["laplacian"], one["laplacian"])


def test_flow_terms_need_known_flow():
    data = batch(known=0.0)
    terms = task().loss("main", data, 0)
    assert terms["flow"] == terms["match"] == 0
    sum(terms.values()).backward()  # not a number would come out of 0 / 0


def test_nothing_of_the_teacher_flows_into_the_student():
    learner = task()
    learner.loss("main", batch(), 0)["teacher"].backward()
    net = learner.modules["net"]
    assert all(p.grad is None or not p.grad.any() for p in net.parameters())


def test_the_teacher_starts_where_the_student_is():
    learner, data = task(), batch(n=2)
    net, (a, truth, b) = learner.modules["net"], data.frames.unbind(1)
    out = net(a, b, data.t)
    features = [net.pyramid.quarter_of(x) for x in (a, b, truth)]
    flow, picture = Teacher(net)(a, b, features, out.levels[-1], out.hidden, data.t)
    torch.testing.assert_close(flow, torch.cat((out.flow_t0, out.flow_t1), 1))
    torch.testing.assert_close(picture, out.prediction)  # its residual is zero at the start


def test_compare_is_least_for_the_truth():
    truth = batch().frames[:, 1]
    flow = torch.zeros(4, 4, 64, 96)
    best = compare(truth, truth, truth, flow, flow)
    worse = compare(truth.flip(3), truth.flip(3), truth, flow, flow)
    assert [round(x.item(), 3) for x in best] == [0.0, 0.001, 0.0, 0.0, 0.0]
    assert all(w > b for w, b in zip(worse[:4], best[:4], strict=True))
    assert compare(truth.flip(3), truth, truth, flow + 1, flow)[4] > 0.5  # follow the better teacher
    assert compare(truth, truth.flip(3), truth, flow + 1, flow)[4] == 0  # but not the worse


def test_blend_by_exact_flow_is_the_truth():
    data = batch(n=2)
    a, truth, b = data.frames.unbind(1)
    coarse = torch.cat((data.flow[..., ::4, ::4] / 4, torch.zeros(2, 1, 16, 24)), 1)
    flow, picture = blend(a, b, coarse, 4)
    torch.testing.assert_close(flow, data.flow)
    assert (picture - truth)[..., 8:-8, 8:-8].abs().max() < 0.02
    one_sided = torch.cat((coarse[:, :4], torch.full_like(coarse[:, :1], 30.0)), 1)
    assert (blend(a, b * 0, one_sided, 4)[1] - truth)[..., 8:-8, 8:-8].abs().max() < 0.02


@pytest.mark.parametrize("motion", [(64, 96), (32, 64)])
def test_flow_error_of_exact_flow_is_its_floor(motion):
    data = batch(n=2)
    sizes = [tuple(side // k for side in motion) for k in (16, 8, 4)] + [(16, 24)]
    exact = [rescale_flow(data.flow, size) for size in sizes]
    half_known = torch.tensor([1.0, 0.0])
    assert flow_error(exact, data.flow, data.known).item() == pytest.approx(0.4, abs=1e-3)
    away = [rescale_flow(data.flow + 3, size) for size in sizes]
    assert flow_error(away, data.flow, data.known).item() == pytest.approx(4 * 3 * math.sqrt(2), rel=1e-2)
    broken = [torch.cat((good[:1], bad[1:])) for good, bad in zip(exact, away, strict=True)]
    assert flow_error(broken, data.flow, half_known).item() == pytest.approx(0.4, abs=1e-3)


def test_crops_may_be_larger_than_what_motion_is_estimated_at():
    torch.manual_seed(0)
    learner, data = InterpTask(FastNet(TOY_FAST), shrinks={(96, 192): 1.5}), batch(n=2, h=96, w=192)
    terms = learner.loss("main", data, 0)
    sum(terms.values()).backward()
    assert terms.keys() == TERMS
    assert all(value.isfinite() for value in terms.values())


def pair_of_keys(dx):
    """A pair whose keys are perfect for a shift of `dx` cells to the right."""
    key = keys(4, 6, strength=60.0)
    return steady((0.0, 0.0), 4, 6)._replace(key0=key, key1=key.roll(dx, 3))


def shift(dx):
    v = torch.tensor([dx, 0.0, -dx, 0.0]).view(1, 4, 1, 1)
    return v.expand(1, 4, 64, 96).contiguous()


@pytest.mark.parametrize("cells", [0, 1, 2, -1])
def test_matching_of_perfect_keys_costs_nothing(cells):
    error = match_error(pair_of_keys(cells), shift(16.0 * cells), torch.ones(1))
    assert error < 1e-3


def test_matching_of_wrong_keys_costs_and_half_known_means_half_counted():
    assert match_error(pair_of_keys(1), shift(-16.0), torch.ones(1)) > 5
    flat = pair_of_keys(0)._replace(key0=torch.zeros(1, 4, 4, 6), key1=torch.zeros(1, 4, 4, 6))
    assert match_error(flat, shift(8.0), torch.ones(1)).item() == pytest.approx(math.log(24), rel=1e-4)
    assert match_error(flat, shift(8.0), torch.zeros(1)) == 0


def test_cells_that_leave_the_picture_are_not_asked_for():
    assert match_error(pair_of_keys(0), shift(16.0 * 50), torch.ones(1)) == 0


def test_cells_that_something_has_come_in_front_of_are_not_asked_for():
    there = shift(16.0)
    covered = torch.cat((there[:, :2], 0 * there[:, 2:]), 1)  # what frame 1 shows there has not moved
    assert match_error(pair_of_keys(0), there, torch.ones(1)) > 5
    assert match_error(pair_of_keys(0), covered, torch.ones(1)) == 0
