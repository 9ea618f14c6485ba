import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.ops.warp import backward_warp, forward_splat, resize_flow


def shifted(dx: float, dy: float, h: int, w: int) -> torch.Tensor:
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, h, w)


@given(h=st.integers(1, 19), w=st.integers(1, 23))
@settings(max_examples=25, deadline=None)
def test_zero_flow_is_identity(h, w):
    image = torch.rand(2, 3, h, w)
    torch.testing.assert_close(backward_warp(image, torch.zeros(2, 2, h, w)), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (0, -2), (-4, 1)])
def test_whole_pixel_shift(dx, dy):
    image = torch.rand(1, 2, 17, 21)
    expected = torch.roll(image, (-dy, -dx), (2, 3))
    out = backward_warp(image, shifted(dx, dy, 17, 21))
    torch.testing.assert_close(out[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4], atol=1e-5, rtol=0)


def test_border_is_repeated():
    image = torch.arange(8.0).view(1, 1, 1, 8)
    out = backward_warp(image, shifted(100.0, 0.0, 1, 8))
    torch.testing.assert_close(out, torch.full_like(out, 7.0))


def test_coordinates_stay_exact_in_half_precision_on_wide_frames():
    ramp = (torch.arange(3840) % 2).float().expand(1, 1, 2, -1)
    out = backward_warp(ramp.half(), torch.zeros(1, 2, 2, 3840, dtype=torch.half))
    torch.testing.assert_close(out.float(), ramp, atol=2e-3, rtol=0)


def test_gradients():
    image = torch.rand(1, 2, 5, 6, dtype=torch.float32, requires_grad=True)
    flow = (torch.rand(1, 2, 5, 6) * 0.8 + 0.1).requires_grad_()
    out = backward_warp(image, flow)
    weight = torch.rand_like(out)
    (out * weight).sum().backward()
    step = torch.zeros_like(flow)
    step[0, 0, 2, 2] = 1e-2
    with torch.no_grad():
        slope = (
            (backward_warp(image, flow + step) - backward_warp(image, flow - step)) * weight
        ).sum() / 2e-2
    assert flow.grad[0, 0, 2, 2].item() == pytest.approx(slope.item(), abs=1e-3)
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize(("dx", "dy"), [(2, 1), (-3, 2)])
def test_splat_moves_whole_pixels(dx, dy):
    value, weight = torch.rand(1, 3, 9, 11), torch.rand(1, 1, 9, 11) + 0.1
    total, weights = forward_splat(value, weight, shifted(dx, dy, 9, 11))
    mean = total / weights.clamp_min(1e-6)
    rolled = torch.roll(value, (dy, dx), (2, 3))
    torch.testing.assert_close(mean[..., 3:-3, 3:-3], rolled[..., 3:-3, 3:-3], atol=1e-5, rtol=1e-5)


def test_splat_is_the_adjoint_of_sampling():
    torch.manual_seed(0)
    flow = torch.randn(1, 2, 8, 9)
    value, probe, one = torch.rand(1, 2, 8, 9), torch.rand(1, 2, 8, 9), torch.ones(1, 1, 8, 9)
    x = torch.arange(9.0) + flow[:, 0]
    y = torch.arange(8.0)[:, None] + flow[:, 1]
    inside = ((x >= 0) & (x <= 8) & (y >= 0) & (y <= 7))[:, None]
    splat, _ = forward_splat(value, one * inside, flow)
    sampled = backward_warp(probe, flow) * inside
    assert (splat * probe).sum().item() == pytest.approx((value * sampled).sum().item(), rel=1e-4)


def test_resize_flow_scales_vectors():
    out = resize_flow(shifted(1.5, -2.0, 4, 6), 2)
    torch.testing.assert_close(out, shifted(3.0, -4.0, 8, 12))
