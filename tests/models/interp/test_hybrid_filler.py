"""`HybridFiller`: features of a shared frame once, of a pair once, memory as the network's stride has it."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from tests.models.interp.test_filler import T, begin, frames
from tests.models.interp.test_net import build
from tests.models.interp.toy import TOY, TOY1
from tween.infer.tile import Tiled
from tween.models.interp.config import with_block
from tween.models.interp.hybrid_filler import HybridFiller, Shared

SMALL = with_block(replace(TOY, stem_stride=4, depths=(1, 1, 1)), chunk=64)


def net(config=SMALL):
    return build(config)


def counting(config=SMALL):
    """A filler, and how often each part of its network has run."""
    filler, counts = HybridFiller(net(config)), {"encode": 0, "pair": 0, "at": 0}

    def counted(name, function):
        def call(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    for name in counts:
        setattr(filler.net, name, counted(name, getattr(filler.net, name)))
    return filler, counts


def test_it_begins_with_nothing_and_never_trains():
    filler = HybridFiller(net().train())
    assert not filler.net.training
    assert begin(filler, frames()) == Shared()


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, phase=1)])
def test_work_is_shared(config):
    clip, (filler, counts) = frames(), counting(config)
    _, state = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (T[1], T[2], T[3]))
    assert counts == {"encode": 2, "pair": 1, "at": 3}
    filler.fill(state, clip[:, 1:], (T[4], T[8]), (T[6],))
    assert counts == {"encode": 3, "pair": 2, "at": 4}


def test_a_state_of_another_time_is_not_used():
    clip, (filler, counts) = frames(), counting()
    _, state = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (T[2],))
    fresh, _ = filler.fill(begin(filler, clip), clip[:, 1:], (T[5], T[8]), (T[6],))
    later, _ = filler.fill(state, clip[:, 1:], (T[5], T[8]), (T[6],))
    assert counts["encode"] == 6
    assert torch.equal(fresh, later)


@torch.no_grad()
def test_it_is_the_network_clamped():
    clip, filler = frames(), HybridFiller(net())
    made, _ = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[3]), (T[1],))
    whole = filler.net(clip[:, 0], clip[:, 1], torch.tensor([1 / 3])).prediction
    assert torch.equal(made[:, 0], whole.clamp(0, 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_frames_come_back_in_their_own_type(dtype):
    clip, filler = frames().to(dtype), HybridFiller(net())
    made, _ = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (T[2],))
    assert made.dtype == dtype
    assert 0 <= made.min() <= made.max() <= 1


def test_in_half_precision_the_picture_stays_fp32():
    """The network runs in bf16, the blend does not: what moves nowhere keeps its levels."""
    clip = frames()[:, :1].expand(-1, 2, -1, -1, -1)
    exact, half = HybridFiller(net()), HybridFiller(net(), dtype=torch.bfloat16)
    for filler in (exact, half):
        for p in (*filler.net.refine.last.parameters(), *filler.net.flow.blocks[-1].up.parameters()):
            torch.nn.init.zeros_(p)
        for block in filler.net.flow.blocks:
            torch.nn.init.zeros_(block.up.weight)
            torch.nn.init.zeros_(block.up.bias)
    made = [f.fill(begin(f, clip), clip, (T[0], T[4]), (T[2],))[0] for f in (exact, half)]
    assert made[1].dtype == torch.float32
    torch.testing.assert_close(made[1][:, 0], clip[:, 0], atol=1e-5, rtol=0)  # bf16 would be off by 2e-3
    torch.testing.assert_close(made[0], made[1], atol=1e-5, rtol=0)


def test_half_precision_is_near():
    clip = frames()
    made = [
        f.fill(begin(f, clip), clip[:, :2], (T[0], T[4]), (T[2],))[0]
        for f in (HybridFiller(net()), HybridFiller(net(), dtype=torch.bfloat16))
    ]
    assert not torch.equal(*made)
    assert (made[0] - made[1]).abs().mean() < 5e-3


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("scale", [1, 0.8, 0.75, 0.5, 0.33, 0.25])
def test_any_size_at_any_scale_and_stem(stride, scale):
    """IFRNet's test script takes 0.8 of frames padded to twentieths: not every stem divides those."""
    filler = Tiled(HybridFiller(net(replace(TOY, stem_stride=stride)), scale=scale))
    known = torch.rand(1, 2, 3, 20, 100)
    state = filler.begin((1, 3, 20, 100), seed=0, device="cpu", dtype=torch.float32)
    made, _ = filler.fill(state, known, (0, 1), (0.5,))
    assert made.shape == (1, 1, 3, 20, 100)


def test_scale_asks_for_larger_multiples():
    clip = frames(h=64, w=64)
    whole, coarse = HybridFiller(net(TOY)), HybridFiller(net(TOY), scale=0.5)
    assert (whole.multiple, coarse.multiple) == (8, 16)
    made = [f.fill(begin(f, clip), clip[:, :2], (T[0], T[4]), (T[2],))[0] for f in (whole, coarse)]
    assert made[0].shape == made[1].shape
    assert not torch.equal(*made)


def test_memory_follows_stride_and_width():
    per = {
        stride: HybridFiller(net(replace(TOY1, stem_stride=stride))).bytes_per_pixel for stride in (1, 2, 4)
    }
    assert per == {1: 7_000, 2: 1_850, 4: 600}
    assert HybridFiller(net(replace(SMALL, width=32))).bytes_per_pixel == 1_200


def test_only_the_place_between_the_frames_counts():
    clip, filler = frames(), HybridFiller(net())
    one, _ = filler.fill(begin(filler, clip), clip[:, :2], (T[0], T[4]), (T[1],))
    two, _ = filler.fill(begin(filler, clip), clip[:, :2], (Fraction(7), Fraction(8)), (Fraction(29, 4),))
    assert torch.equal(one, two)
