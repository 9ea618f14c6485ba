"""`quality` begins as `fast`, to the bit, and every part of it can change the picture."""

from fractions import Fraction

import pytest
import torch

from tests.models.interp.test_filler import Watch, frames
from tests.models.interp.toy import TOY_QUALITY, fast_net, quality_net
from tween.data.triplets import read
from tween.metrics import psnr
from tween.models.interp.fast import FastNet
from tween.models.interp.filler import InterpFiller
from tween.models.interp.quality import QualityConfig, QualityNet
from tween.zoo.load import released

T = torch.tensor([0.3])


@pytest.fixture(scope="module")
def untrained() -> QualityNet:
    """As training begins."""
    torch.manual_seed(0)
    net = QualityNet().eval()
    net.fast.load_state_dict(released("fast"))
    return net


def scene(shared):
    return read(shared / "val" / "davis30")[0]


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_it_is_small_enough_to_be_released():
    with torch.device("meta"):
        net = QualityNet()
    assert count(net) == 4_608_873
    assert count(net.fast) == count(FastNet(QualityConfig().fast)) == 1_738_198


@torch.no_grad()
@pytest.mark.parametrize("size", [(180, 272), (180, 236)])
def test_before_training_it_is_fast_on_real_frames(untrained, shared, size):
    a, b = (x[None, :, : size[0], : size[1]] for x in scene(shared).load()[::2])
    mine, its = untrained(a, b, T), untrained.fast(a, b, T)
    assert its.prediction.std() > 0.05
    for name in ("prediction", "mask", "residual", "flow_t0", "flow_t1"):
        assert (getattr(mine, name) - getattr(its, name)).abs().max() < 1e-6, name


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (68, 100), (36, 132)])
def test_sizes_that_only_four_divides(size):
    net = quality_net()
    a, b = frames(n=2, h=144, w=144)[..., : size[0], : size[1]].unbind(1)
    out = net(a, b, T)
    assert out.prediction.shape == a.shape
    assert out.prediction.isfinite().all()
    assert [level.shape[-2:] for level in out.levels[3:]] == [(size[0] // 4, size[1] // 4), size]
    torch.testing.assert_close(out.levels[-1], torch.cat((out.flow_t0, out.flow_t1, out.logit), 1))


@torch.no_grad()
def test_the_last_layer_corrects_flow_mask_and_residual():
    net = quality_net()
    torch.nn.init.zeros_(net.refine.head.weight)
    a, b = frames(n=2).unbind(1)
    first = net.fast(a, b, T)
    bias = net.refine.head.bias.zero_()
    bias[0], bias[4:8], bias[8:12] = 1.5, 2.0, 0.25  # in pixels of 1/2; the mask; red
    out = net(a, b, T)
    torch.testing.assert_close(out.flow_t0[:, 0], first.flow_t0[:, 0] + 3)
    torch.testing.assert_close(out.flow_t1, first.flow_t1)
    torch.testing.assert_close(out.logit, first.logit + 2)
    red = torch.tensor([0.25, 0, 0]).view(1, 3, 1, 1)
    torch.testing.assert_close(out.residual, first.residual + red)
    blend = out.mask * out.warped0 + (1 - out.mask) * out.warped1
    torch.testing.assert_close(out.prediction, blend + out.residual)


def test_every_weight_has_a_part():
    net = quality_net()
    a, b = frames(n=2).unbind(1)
    out = net(a, b, T)
    (out.prediction.square().mean() + sum(level.square().mean() for level in out.levels)).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_the_second_frame_changes_the_context_of_the_first():
    net = quality_net()
    a, b = frames(n=2).unbind(1)
    f0, f1 = (net.encode(x, (64, 96)) for x in (a, b))
    with_b, with_a = net.pair(f0, f1), net.pair(f0, f0)
    assert all((x - y).abs().max() > 1e-4 for x, y in zip(with_b.context0, with_a.context0, strict=True))
    assert [c.shape for c in with_b.context1] == [(1, 16, 16, 24), (1, 32, 8, 12), (1, 64, 4, 6)]


@torch.no_grad()
@pytest.mark.parametrize("within", [False, True])
def test_bfloat16_is_near(within):
    net, half = quality_net(), quality_net().bfloat16()
    if within:  # on a CPU tokens may stay as they are
        half.exchange.float()
        half.fast.blocks.float()
    a, b = frames(n=2).unbind(1)
    made = half(a, b, T).prediction
    assert made.dtype == torch.float32
    assert (made - net(a, b, T).prediction).abs().mean() < 4 / 255


def test_nothing_comes_from_the_host_so_that_it_can_be_a_graph():
    net, (a, b) = quality_net(), frames(n=2, h=100, w=140).unbind(1)
    with torch.no_grad(), Watch() as watch:
        f0, f1 = (net.encode(x, (64, 96)) for x in (a, b))
        net.at(a, b, f0, f1, net.pair(f0, f1), torch.full((1,), 0.5))
    assert watch.made == []


def test_its_filler_says_what_it_needs():
    filler = InterpFiller(quality_net())
    assert filler.multiple == 4
    assert filler.bytes_per_pixel > InterpFiller(fast_net()).bytes_per_pixel
    clip = frames()
    state = filler.begin(clip[:, 0].shape, seed=0, device=clip.device, dtype=clip.dtype)
    ends = Fraction(0), Fraction(1)
    made, state = filler.fill(state, clip[:, :2], ends, (Fraction(3, 10),))
    direct = filler.net(*clip[:, :2].unbind(1), T).prediction.clamp(0, 1)
    torch.testing.assert_close(made[:, 0], direct)
    assert state.features.context[0].shape == (1, TOY_QUALITY.context, 16, 24)


@torch.no_grad()
def test_untrained_it_sees_a_clip_and_its_reversal_nearly_alike(untrained, shared):
    a, b = (x[None, :, :192, :256] for x in scene(shared).load()[::2])
    forward, back = untrained(a, b, T).prediction, untrained(b, a, 1 - T).prediction
    assert psnr(forward.clamp(0, 1), back.clamp(0, 1)) > 32


@pytest.mark.gpu
def test_on_a_gpu_graphs_are_the_network(untrained):
    net = QualityNet().cuda().half().to(memory_format=torch.channels_last)
    net.load_state_dict(untrained.state_dict())
    torch.nn.init.normal_(net.refine.head.weight, std=0.01)
    filler, clip = InterpFiller(net), frames(n=6, h=272, w=480).cuda()
    state = filler.begin(clip[:, 0].shape, seed=0, device=clip.device, dtype=clip.dtype)
    for k in range(5):
        ends, time = (Fraction(k), Fraction(k + 1)), (k + Fraction(1, 3),)
        made, state = filler.fill(state, clip[:, k : k + 2], ends, time)
        plain = InterpFiller(net)  # a filler's first sight of a shape is never a graph
        alone, _ = plain.fill(type(state)(), clip[:, k : k + 2], ends, time)
        assert (made - alone).abs().mean() < 1e-3
