"""The pyramid keeps what is flat, splits a picture without loss and has the right gradient."""

import torch

from tween.ops.pyramid import double, halve, laplacian_pyramid


def test_a_flat_picture_stays_flat():
    x = torch.full((1, 2, 9, 14), 0.7)
    assert halve(x).shape == (1, 2, 5, 7)
    torch.testing.assert_close(halve(x), torch.full((1, 2, 5, 7), 0.7))
    torch.testing.assert_close(double(x), torch.full((1, 2, 18, 28), 0.7))


def test_a_ramp_keeps_its_slope_away_from_the_border():
    x = torch.arange(32.0).expand(1, 1, 32, 32)
    torch.testing.assert_close(halve(x)[..., 1:-1], x[..., :16, 2:-2:2])
    torch.testing.assert_close(double(x)[..., 2:-3], (torch.arange(64.0) / 2).expand(1, 1, 64, 64)[..., 2:-3])


def test_bands_and_rest_add_up_to_the_picture():
    x = torch.rand(2, 3, 37, 50, dtype=torch.float64)
    *bands, back = laplacian_pyramid(x, 4)
    for band in reversed(bands):
        back = band + double(back)[..., : band.shape[-2], : band.shape[-1]]
    torch.testing.assert_close(back, x)


def test_gradient():
    x = torch.rand(1, 2, 9, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: laplacian_pyramid(v, 2), x)
