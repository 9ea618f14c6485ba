"""PSNR where motion breaks: errors count at the singularities of the motion field, where interpolation fails."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.core import TweenError
from tween.metrics.image import levels

LUMA = (0.2126, 0.7152, 0.0722)  # BT.709
SINGULAR = 0.01  # of the greatest divergence in the picture


def psnr_div(prediction: Tensor, target: Tensor, flow: Tensor) -> Tensor:
    """PSNR_DIV (Daly, Ramsook and Kokaram, QoMEX 2025, arXiv:2510.01361) in dB, `b` values in float64.

    The mean squared error of 8-bit luma over the pixels where |du/dx + dv/dy| of the motion exceeds a hundredth of
    its greatest value; 100 where nothing differs. Where nothing diverges every pixel counts. The authors' program
    takes du/dy + dv/dx, which is no divergence; this is the paper's.

    Args:
        prediction, target: `b 3 h w` RGB in [0, 1].
        flow: `b 2 h w` px from the interpolated frame to the one that follows it.
    """
    shape = (prediction.shape[0], 2, *prediction.shape[-2:])
    if prediction.shape != target.shape or tuple(flow.shape) != shape:
        got = ", ".join(str(tuple(x.shape)) for x in (prediction, target, flow))
        raise TweenError(f"PSNR_DIV compares two batches of pictures and a flow of one size, but got {got}")
    a, b = luma(prediction), luma(target)
    counted = singular(flow)
    error = ((a - b) ** 2 * counted).flatten(1).sum(1) / counted.flatten(1).sum(1)
    return -10 * (error / 255**2).clamp(min=1e-10).log10()


def luma(image: Tensor) -> Tensor:
    """`b h w` in whole grey levels 0..255, the fraction cut off as an 8-bit conversion does."""
    weights = torch.tensor(LUMA, dtype=torch.float64, device=image.device).view(3, 1, 1)
    return ((levels(image) * weights).sum(1) + 1e-9).floor()


def singular(flow: Tensor) -> Tensor:
    """`b h w`: 1 where the motion diverges, everywhere where it does so nowhere."""
    u, v = flow.double().unbind(1)
    apart = (torch.gradient(u, dim=-1)[0] + torch.gradient(v, dim=-2)[0]).abs()
    greatest = apart.flatten(1).amax(1).view(-1, 1, 1)
    return ((apart > SINGULAR * greatest) | (greatest == 0)).double()
