"""Floor 3: how good a picture is. A function gives a value for each picture; `Mean` sums them up."""

from tween.metrics.image import interpolation_error, psnr, ssim_matlab, ssim_uniform
from tween.metrics.lpips import Lpips, load_lpips
from tween.metrics.mean import Mean
from tween.metrics.motion import psnr_div

__all__ = [
    "Lpips",
    "Mean",
    "interpolation_error",
    "load_lpips",
    "psnr",
    "psnr_div",
    "ssim_matlab",
    "ssim_uniform",
]
