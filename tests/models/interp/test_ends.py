"""Close to a known frame it comes out as it is, and further in the network's own frame does."""

from fractions import Fraction

import pytest
import torch

from tween.metrics import psnr
from tween.models.interp.ends import NEAR, drawn_in, inner
from tween.models.interp.fast import FastNet
from tween.ops.warp import backward_warp
from tween.zoo import load
from tween.zoo.selfcheck import moving_pattern


@pytest.fixture(scope="module")
def filler():
    return load("fast", device="cpu", precision="fp32")


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
def test_there_is_no_step_where_the_network_takes_over(t):
    torch.manual_seed(0)
    net, (a, b) = FastNet().eval(), moving_pattern().unbind(1)
    at = torch.tensor([inner(t)])
    found = net(a, b, at)
    assert torch.allclose(drawn_in(a, b, found, at, at), found.prediction, atol=1e-5)
    nearly = torch.tensor([t + (1e-4 if t > 0.5 else -1e-4)])
    assert (drawn_in(a, b, found, at, nearly) - found.prediction).abs().max() < 0.01


@torch.no_grad()
def test_at_the_ends_are_the_known_frames():
    torch.manual_seed(0)
    net, (a, b) = FastNet().eval(), moving_pattern().unbind(1)
    for end, known in ((0.0, a), (1.0, b)):
        at = torch.tensor([inner(end)])
        assert torch.allclose(drawn_in(a, b, net(a, b, at), at, torch.tensor([end])), known, atol=1e-4)


def test_inside_the_network_is_asked_itself():
    assert [inner(t) for t in (0.0, NEAR, 0.3, 1 - NEAR, 1.0)] == [NEAR, NEAR, 0.3, 1 - NEAR, 1 - NEAR]
