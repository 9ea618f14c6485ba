"""Metrics against scikit-image and against the papers' formula written out densely."""

import math

import pytest
import torch
import torch.nn.functional as F
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr

from tween.core import TweenError
from tween.metrics import Mean, interpolation_error, psnr, ssim_matlab, ssim_uniform


@pytest.fixture
def pair():
    torch.manual_seed(0)
    a = torch.rand(3, 3, 24, 40)
    return a, (a + 0.1 * torch.randn_like(a)).clamp(0, 1)


def test_psnr_is_skimage_s(pair):
    a, b = pair
    expected = [
        peak_signal_noise_ratio(y.numpy(), x.numpy(), data_range=1) for x, y in zip(a, b, strict=True)
    ]
    torch.testing.assert_close(psnr(a, b), torch.tensor(expected).double(), atol=1e-6, rtol=0)
    outside = torchmetrics_psnr(a.double(), b.double(), data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(a, b), outside, atol=1e-6, rtol=0)


def test_psnr_rounded_is_that_of_the_files(pair):
    a, b = ((x * 255).round().byte() for x in pair)
    expected = [peak_signal_noise_ratio(y.numpy(), x.numpy()) for x, y in zip(a, b, strict=True)]
    torch.testing.assert_close(psnr(*pair, rounded=True), torch.tensor(expected).double())
    assert not torch.equal(psnr(*pair), psnr(*pair, rounded=True))


def test_psnr_of_equal_pictures_is_finite():
    a = torch.rand(2, 3, 8, 8)
    assert psnr(a, a).tolist() == [100, 100]
    assert psnr(a + 1e-9, a, rounded=True).tolist() == [100, 100]


def dense_ssim(a, b):
    """The code every repository of the field shares: one 11x11x11 convolution, in float64."""
    taps = torch.tensor([math.exp(-((x - 5) ** 2) / (2 * 1.5**2)) for x in range(11)], dtype=torch.float64)
    taps = taps / taps.sum()
    window = torch.einsum("i,j,k->ijk", taps, taps, taps)[None, None]
    a, b = a.double()[:, None], b.double()[:, None]

    def blur(x):
        return F.conv3d(F.pad(x, (5,) * 6, mode="replicate"), window)

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return ssim.flatten(1).mean(1)


def test_ssim_is_the_dense_one(pair):
    torch.testing.assert_close(ssim_matlab(*pair), dense_ssim(*pair), atol=1e-12, rtol=0)
    a, b = ((x * 255).round() / 255 for x in pair)
    torch.testing.assert_close(
        ssim_matlab(*pair, rounded=True), dense_ssim(a.double(), b.double()), atol=1e-6, rtol=0
    )
    assert ssim_matlab(a, a).tolist() == pytest.approx([1, 1, 1])


def test_ssim_of_pictures_smaller_than_the_window():
    a, b = torch.rand(1, 3, 4, 7), torch.rand(1, 3, 4, 7)
    torch.testing.assert_close(ssim_matlab(a, b), dense_ssim(a, b), atol=1e-12, rtol=0)


@pytest.mark.parametrize("rounded", [False, True])
def test_uniform_ssim_is_skimage_s(pair, rounded):
    if rounded:
        files = [[(x * 255).round().byte().permute(1, 2, 0).numpy() for x in images] for images in pair]
        span = 255
    else:
        files = [[x.double().permute(1, 2, 0).numpy() for x in images] for images in pair]
        span = 1
    expected = [
        structural_similarity(x, y, channel_axis=2, data_range=span) for x, y in zip(*files, strict=True)
    ]
    found = ssim_uniform(*pair, rounded=rounded)
    torch.testing.assert_close(found, torch.tensor(expected).double(), atol=1e-6, rtol=0)


def test_interpolation_error_is_in_rounded_grey_levels():
    a = torch.full((2, 3, 4, 4), 100 / 255)
    b = a.clone()
    b[0] += 3.4 / 255
    b[1, :, :2] -= 2 / 255
    assert interpolation_error(a, b).tolist() == [3, 1]
    assert (
        interpolation_error(a - 9, b).tolist()[0] == 103
    )  # what lies outside the range is clipped, as in a file


def test_mean_over_pictures_not_over_pixels():
    mean = Mean().update(torch.tensor([20.0, 30.0])).update(torch.tensor([40.0]))
    assert mean.compute() == 30
    assert mean.count == 3
    assert math.isnan(Mean().compute())


@pytest.mark.parametrize("metric", [psnr, ssim_matlab, ssim_uniform, interpolation_error])
def test_pictures_of_two_sizes_are_refused(metric):
    with pytest.raises(TweenError, match="one size"):
        metric(torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8))
