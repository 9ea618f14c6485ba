"""The hybrid network: the plan's sizes to the parameter, and what it computes."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.interp.toy import TOY, TOY1, frames
from tween.core import TweenError
from tween.models.interp import config
from tween.models.interp.config import THESIS, ablations, with_block
from tween.models.interp.net import HybridNet

ONE = replace(THESIS, phase=1)


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def meta(config) -> HybridNet:
    with torch.device("meta"):
        return HybridNet(config)


def build(config, seed=0) -> HybridNet:
    torch.manual_seed(seed)
    return HybridNet(config).eval()


def test_parameters_of_both_phases_are_the_plans():
    assert count(meta(ONE)) == 1_256_064
    assert count(meta(THESIS)) == 8_998_923
    assert count(meta(replace(THESIS, phase=3))) == 8_998_923


def test_parameters_of_every_part_are_the_plans():
    net = meta(THESIS)
    assert count(net.backbone) == 1_039_612
    assert count(net.flow) == 6_821_835
    assert [count(b) for b in net.flow.blocks] == [4_437_725, 1_748_255, 635_855]
    assert count(net.context) == 574_912
    assert count(net.refine) == 562_564
    assert count(meta(ONE).refine) == 216_452


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"gate": "element"}, 1_080_352),
        ({"residual": "mhc", "mhc_init": "seed"}, 953_238),
        ({"residual": "mhc"}, 953_238 + 6 * 3),  # the weights of the collapse
        ({"residual": "mhc_lite", "mhc_init": "seed"}, 953_238 - 6 * 3),  # 6 logits for 9
        ({"backbone": "mamba2_only"}, 776_608),
        ({"backbone": "gated_attn_only"}, 627_154),
    ],
)
def test_parameters_of_backbone_variants(fields, parameters):
    assert count(meta(with_block(ONE, **fields)).backbone) == parameters


@pytest.mark.parametrize("config", [TOY1, TOY, replace(TOY, stem_stride=4)])
@pytest.mark.parametrize(("h", "w"), [(16, 24), (17, 30), (9, 41)])
def test_any_size(config, h, w):
    i0, i1, t = frames(2, h, w)
    with torch.no_grad():
        filled = build(config)(i0, i1, t)
    assert filled.prediction.shape == i0.shape
    assert filled.flow_t0.shape == filled.flow_t1.shape == (2, 2, h, w)
    assert filled.mask.shape == filled.mask_logit.shape == (2, 1, h, w)
    assert filled.warped_0.shape == filled.warped_1.shape == filled.residual.shape == i0.shape
    assert len(filled.levels) == (0 if config.phase == 1 else 3)
    assert all(x.shape[-2:] == (h, w) for level in filled.levels for x in level)
    assert torch.isfinite(filled.prediction).all()


@pytest.mark.parametrize("config", [TOY1, TOY, replace(TOY, stem_stride=4), replace(TOY, warp="image")])
@pytest.mark.parametrize(("h", "w"), [(16, 32), (17, 30)])
def test_carried_context_is_given_where_it_is_asked_for_and_changes_nothing(config, h, w):
    i0, i1, t = frames(2, h, w)
    net = build(config)
    with torch.no_grad():
        plain, asked = net(i0, i1, t), net(i0, i1, t, context=True)
        wanted = net.context_of(i0)
    assert plain.context == ()
    assert [x.shape for x in asked.context] == [x.shape for x in wanted]
    assert len(asked.context) == (6 if config.has_context else 0)
    assert all(torch.equal(a, b) for a, b in zip(plain[:-2], asked[:-2], strict=True))


def test_carried_context_is_each_frame_s_own_along_its_flow():
    i0, i1, t = frames(2, 16, 24)
    net = build(TOY)
    with torch.no_grad():
        filled = net(i0, i1, t, context=True)
        for i, (image, flow) in enumerate(((i0, filled.flow_t0), (i1, filled.flow_t1))):
            carried = net.context[i].warp(net.context[i](image), flow)
            assert all(torch.equal(a, b) for a, b in zip(filled.context[3 * i :], carried, strict=False))


def test_padding_does_not_reach_far_from_the_border():
    """On a size that needs no padding, `forward` is `encode`, `pair` and `at`."""
    i0, i1, t = frames()
    net = build(TOY)
    first, second = net.encode(i0), net.encode(i1)
    with torch.no_grad():
        apart = net.at(i0, i1, first, second, net.pair(first, second), t)
        assert torch.equal(apart.prediction, net(i0, i1, t).prediction)


def test_what_a_pair_shares_is_computed_once():
    """Many t from one `pair` are what each t alone gives, and no module of the pair runs again."""
    i0, i1, _ = frames(1)
    net = build(TOY)
    calls = []
    for module in (net.backbone.stem, net.backbone.levels[0][0], *net.context):
        module.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        first, second = net.encode(i0), net.encode(i1)
        pair = net.pair(first, second)
        calls.clear()
        many = [net.at(i0, i1, first, second, pair, torch.tensor([t])) for t in (0.25, 0.75)]
        assert not calls
        for t, filled in zip((0.25, 0.75), many, strict=True):
            torch.testing.assert_close(filled.prediction, net(i0, i1, torch.tensor([t])).prediction)
    assert not torch.equal(many[0].prediction, many[1].prediction)


@pytest.mark.parametrize("config", [TOY1, TOY])
def test_every_parameter_gets_a_gradient(config):
    i0, i1, t = frames()
    net = build(config).train()
    (net(i0, i1, t).prediction - 0.5).square().mean().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_masks_are_summed_as_logits():
    """The blend is sigmoid(flow's logit + refinement's logit), and an even blend leaves both frames half."""
    i0, i1, t = frames()
    net = build(TOY)
    torch.nn.init.zeros_(net.refine.last[1].weight)
    torch.nn.init.zeros_(net.refine.last[1].bias)
    with torch.no_grad():
        filled = net(i0, i1, t)
        assert torch.equal(filled.mask_logit, filled.levels[-1].mask_logit)
        net.refine.last[1].bias[3] = 30.0
        pushed = net(i0, i1, t)
    assert torch.equal(filled.residual, torch.zeros_like(i0))
    torch.testing.assert_close(
        filled.prediction, filled.mask * filled.warped_0 + (1 - filled.mask) * filled.warped_1
    )
    torch.testing.assert_close(pushed.prediction, pushed.warped_0)


def test_prediction_is_not_clamped():
    i0, i1, t = frames()
    net = build(TOY1)
    torch.nn.init.constant_(net.refine.last[1].bias, 5.0)
    out = net(i0, i1, t).prediction
    assert out.max() > 1
    out.sum().backward()
    assert net.refine.last[1].bias.grad[:3].abs().min() > 0


def test_same_seed_same_network_same_frame():
    i0, i1, t = frames()
    with torch.no_grad():
        a, b, c = (build(TOY, seed)(i0, i1, t).prediction for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_weights_survive_a_round_trip(tmp_path):
    i0, i1, t = frames()
    net, other = (
        build(with_block(TOY, residual="mhc_lite"), 1),
        build(with_block(TOY, residual="mhc_lite"), 2),
    )
    torch.save(net.state_dict(), tmp_path / "w.pt")
    other.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))
    with torch.no_grad():
        assert torch.equal(net(i0, i1, t).prediction, other(i0, i1, t).prediction)


def test_frames_may_be_swapped_in_the_summed_backbone_without_interleaving():
    """Scanned frame by frame and summed, the backbone cannot tell which frame is which; concatenated, it can."""
    i0, i1, _ = frames()

    def gap(config) -> float:
        backbone = build(config).backbone
        with torch.no_grad():
            pairs = zip(backbone(i0, i1), backbone(i1, i0), strict=True)
            return max((a - b).abs().max().item() for a, b in pairs)

    assert gap(with_block(TOY1, scan="flip")) < 1e-5
    assert gap(TOY1) > 1e-3  # interleaved, frame 0 comes first at every place
    assert gap(replace(with_block(TOY1, scan="flip"), merge="concat")) > 1e-3


def test_smaller_scale_leaves_the_networks_scale_list_alone():
    i0, i1, t = frames(1, 32, 32)
    net = build(TOY)
    with torch.no_grad():
        before = net(i0, i1, t).prediction
        other = net(i0, i1, t, scale=0.5).prediction
        assert torch.equal(before, net(i0, i1, t).prediction)
    assert net.config.scale_list == (2, 1, 1)
    assert not torch.equal(before, other)


def test_stochastic_depth_acts_in_training_only():
    i0, i1, t = frames()
    net = build(with_block(TOY1, drop_path=0.5))
    with torch.no_grad():
        assert torch.equal(net(i0, i1, t).prediction, net(i0, i1, t).prediction)
        net.train()
        assert not torch.equal(net(i0, i1, t).prediction, net(i0, i1, t).prediction)


@pytest.mark.parametrize(
    "config",
    [replace(TOY1, flow_only=True), replace(TOY, flow_only=True, warp="image"), replace(TOY, width=24)],
)
def test_networks_that_cannot_be_are_refused(config):
    with pytest.raises(TweenError):
        HybridNet(config)


@pytest.mark.parametrize("name", ablations(TOY))
def test_every_ablation_trains_and_changes_something(name):
    """One step lowers the loss on its batch, and the network differs from its base in size or in output."""
    i0, i1, t = frames(2, 32, 32)
    config = ablations(TOY)[name]
    base = TOY1 if config.phase == 1 else TOY
    torch.manual_seed(0)
    net = HybridNet(config)
    if config != base:
        other = build(base)
        with torch.no_grad():
            same = torch.equal(net.eval()(i0, i1, t).prediction, other(i0, i1, t).prediction)
        assert count(net) != count(other) or not same
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), 1e-2)
    losses = []
    for _ in range(2):
        loss = (net(i0, i1, t).prediction - (i0 + i1) / 2).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


def test_the_readme_lists_every_ablation_with_its_size():
    text = (Path(config.__file__).parent / "README.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9-]+) \| .* \| ([\d,]+) \|$", text, re.M)
    assert rows == [(name, f"{count(meta(c)):,}") for name, c in ablations().items()]
