"""PSNR, SSIM and interpolation error of pictures `b c h w` in [0, 1]; each returns `b` values, in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.core import TweenError
from tween.ops.ssim import C1, C2, ssim_map


def levels(image: Tensor) -> Tensor:
    """Rounded to the 256 levels of an 8-bit file, in 0..255."""
    return (image.double().clamp(0, 1) * 255).round()


def psnr(prediction: Tensor, target: Tensor, *, rounded: bool = False) -> Tensor:
    """-10 log10 of the mean squared error over all pixels and channels, in dB; 100 where the two agree.

    Args:
        rounded: compare the pictures as 8-bit files would hold them (UCF101, X-TEST and Xiph are reported so;
            Vimeo-90K and SNU-FILM are not).
    """
    _same(prediction, target)
    a, b = (levels(x) / 255 if rounded else x.double() for x in (prediction, target))
    return -10 * ((a - b) ** 2).flatten(1).mean(1).clamp(min=1e-10).log10()


def ssim_matlab(prediction: Tensor, target: Tensor, *, rounded: bool = False) -> Tensor:
    """Mean of `ssim_map`: the SSIM of the interpolation papers, its window over the channels too; L = 1."""
    _same(prediction, target)
    a, b = (levels(x) / 255 if rounded else x.double() for x in (prediction, target))
    return torch.stack([ssim_map(x[None], y[None]).mean() for x, y in zip(a, b, strict=True)])


def ssim_uniform(prediction: Tensor, target: Tensor, *, rounded: bool = False) -> Tensor:
    """scikit-image's default SSIM, which Xiph is reported with: 7x7 windows that lie wholly inside, each counting
    alike, unbiased variances, mean over windows and channels; L = 1.

    Args:
        prediction, target: sides of 7 px and more.
    """
    _same(prediction, target)
    a, b = (levels(x) / 255 if rounded else x.double() for x in (prediction, target))
    mean_a, mean_b, aa, bb, ab = (F.avg_pool2d(x, 7, 1) for x in (a, b, a * a, b * b, a * b))
    unbiased = 49 / 48
    both, power = mean_a * mean_b, mean_a**2 + mean_b**2
    similar = (2 * both + C1) * (2 * unbiased * (ab - both) + C2)
    return (similar / ((power + C1) * (unbiased * (aa + bb - power) + C2))).flatten(1).mean(1)


def interpolation_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the 8-bit pictures, in grey levels: the IE of Middlebury's OTHER set.

    Papers of the RIFE line report this; the benchmark's own site takes the root mean square.
    """
    _same(prediction, target)
    return (levels(prediction) - levels(target)).abs().flatten(1).mean(1)


def _same(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape or prediction.ndim != 4:
        raise TweenError(
            f"a metric compares two batches of pictures (b, c, h, w) of one size, "
            f"but got {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
