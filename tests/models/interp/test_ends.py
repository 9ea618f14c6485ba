"""Close to a known frame it comes out as it is, and further in the network's own frame does."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tween.metrics import psnr
from tween.models.interp.ends import NEAR, inner, pace
from tween.models.interp.fast import FastNet
from tween.models.interp.filler import InterpFiller
from tween.models.interp.quality import QualityNet
from tween.ops.warp import backward_warp
from tween.zoo import load
from tween.zoo.selfcheck import moving_pattern


@pytest.fixture(scope="module")
def filler():
    return load("fast", device="cpu", precision="fp32")


@pytest.fixture(scope="module", params=[FastNet, QualityNet])
def raw(request):
    """Either network as it begins, with something to say in its last layers."""
    torch.manual_seed(0)
    net = request.param()
    for name, weight in net.named_parameters():
        if ".head." in name:
            torch.nn.init.normal_(weight, std=0.02)
    return InterpFiller(net)


def made(filler, clip, t):
    state = filler.begin(clip[:, 0].shape, seed=0, device="cpu", dtype=clip.dtype)
    return filler.fill(state, clip, (Fraction(0), Fraction(1)), (Fraction(t),))[0][:, 0]


@torch.no_grad()
def test_the_released_network_leaves_known_frames_as_they_are(filler):
    clip = moving_pattern()
    a, b = clip.unbind(1)
    for t, known in ((Fraction(1, 1000), a), (Fraction(999, 1000), b)):
        alone = filler.net(a, b, torch.tensor([float(t)])).prediction.clamp(0, 1)
        assert psnr(made(filler, clip, t), known) > max(45, psnr(alone, known) + 6)


@torch.no_grad()
def test_motion_goes_on_evenly(filler):
    """Between a known frame and where the network is asked, the frame is nearer to the truth than either."""
    clip = moving_pattern()
    a, b = clip.unbind(1)
    way = filler.net(a, b, torch.tensor([0.5])).flow_t0.mean((2, 3), keepdim=True).sign()
    flow = way * torch.tensor([12.0, 4.0]).view(1, 2, 1, 1)  # of the whole gap
    t, inside = Fraction(1, 16), (..., slice(32, -32), slice(32, -32))
    real = backward_warp(a, (flow / 16).expand(-1, -1, *a.shape[-2:]))[inside]
    found, alone = made(filler, clip, t), filler.net(a, b, torch.tensor([1 / 16])).prediction.clamp(0, 1)
    assert psnr(found[inside], real) > max(psnr(alone[inside], real), psnr(a[inside], real))


@torch.no_grad()
@pytest.mark.parametrize("t", [NEAR, 1 - NEAR])
def test_there_is_no_step_where_the_network_takes_over(raw, t):
    clip = moving_pattern()
    alone = raw.net(*clip.unbind(1), torch.tensor([t])).prediction.clamp(0, 1)
    nearly = t + (1e-4 if t > 0.5 else -1e-4)
    assert (made(raw, clip, nearly) - alone).abs().max() < 0.01


@torch.no_grad()
def test_at_the_ends_are_the_known_frames(raw):
    clip = moving_pattern()
    for end, known in zip((0, 1), clip.unbind(1), strict=True):
        alone = raw.net(*clip.unbind(1), torch.tensor([float(end)])).prediction.clamp(0, 1)
        assert (alone - known).abs().max() > 0.01  # the network by itself does change it
        assert torch.allclose(made(raw, clip, end), known, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("t", [0.25, 0.5])
def test_inside_it_is_the_network_itself(raw, t):
    clip = moving_pattern()
    assert torch.equal(made(raw, clip, t), raw.net(*clip.unbind(1), torch.tensor([t])).prediction.clamp(0, 1))


@given(st.floats(0, 1, width=32))
def test_pace_is_exactly_one_inside_and_never_beyond_the_known_frame(shown):
    shown = torch.tensor([shown])
    t = inner(shown)
    by = pace(t, shown)
    assert NEAR - 1e-6 <= float(t) <= 1 - NEAR + 1e-6
    if torch.equal(t, shown):
        assert all(x.item() == 1 for x in by)
    assert 0 <= by.fade0 <= 1
    assert 0 <= by.fade1 <= 1
    assert max(by.fade0, by.fade1) == 1
