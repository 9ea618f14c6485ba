"""Floor 3: how good a picture is. A function gives a value for each picture; `Mean` sums them up."""

from tween.metrics.image import interpolation_error, psnr, ssim_matlab
from tween.metrics.mean import Mean

__all__ = ["Mean", "interpolation_error", "psnr", "ssim_matlab"]
