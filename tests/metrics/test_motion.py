"""PSNR_DIV where the motion is known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tween.core import TweenError
from tween.metrics import psnr, psnr_div
from tween.metrics.motion import luma, singular


def grey(values):
    return (values / 255).expand(1, 3, *values.shape)


def plane(h=12, w=16):
    return torch.full((h, w), 100.0)


def test_only_errors_where_the_motion_diverges_count():
    flow = torch.zeros(1, 2, 12, 16)
    flow[:, 0, :, 8:] = 4.0  # du/dx is 2 in columns 7 and 8
    seen, missed = plane(), plane()
    seen[3, 8] += 20
    missed[3, 2] += 20
    assert singular(flow)[0].nonzero()[:, 1].unique().tolist() == [7, 8]
    expected = -10 * torch.log10(torch.tensor(20.0**2 / (2 * 12) / 255**2)).item()
    assert psnr_div(grey(seen), grey(plane()), flow).item() == pytest.approx(expected)
    assert psnr_div(grey(missed), grey(plane()), flow).item() == 100


def test_the_divergence_is_of_u_along_x_and_of_v_along_y():
    x = torch.arange(16.0).expand(1, 12, 16)
    y = torch.arange(12.0)[:, None].expand(1, 12, 16)
    spin, growth = torch.stack((-y, x), 1), torch.stack((x, -0.5 * y), 1)
    spin[:, 0, 6, 8] += 1  # turning diverges nowhere, but for this
    assert 0 < singular(spin).sum() < 4
    assert singular(growth).sum() == 12 * 16


def test_without_divergence_it_is_the_psnr_of_luma():
    a, b = (torch.randint(0, 256, (12, 16)).float() for _ in range(2))
    expected = psnr(grey(a), grey(b)).item()
    assert psnr_div(grey(a), grey(b), torch.full((1, 2, 12, 16), 3.0)).item() == pytest.approx(expected)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_luma_cuts_the_fraction_off(r, g, b):
    image = torch.tensor([r, g, b]).view(1, 3, 1, 1) / 255
    assert luma(image).item() == (2126 * r + 7152 * g + 722 * b) // 10000


def test_of_a_batch_each_has_its_own_scale():
    a, b = torch.rand(2, 1, 3, 10, 10)
    flow = torch.randn(2, 2, 10, 10) * torch.tensor([1.0, 100.0]).view(2, 1, 1, 1)
    both = psnr_div(a.repeat(2, 1, 1, 1), b.repeat(2, 1, 1, 1), flow)
    assert both[0] == psnr_div(a, b, flow[:1])
    assert both[1] == psnr_div(a, b, flow[1:])


def test_sizes_that_differ_are_refused():
    a = torch.rand(1, 3, 8, 8)
    with pytest.raises(TweenError, match="of one size"):
        psnr_div(a, a, torch.rand(1, 2, 8, 9))
