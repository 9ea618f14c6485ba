"""Structural similarity (Wang et al., 2004) in the form the interpolation papers report, "ssim_matlab"."""

from __future__ import annotations

import math

import torch
from torch import Tensor

RADIUS, SIGMA = 5, 1.5
C1, C2 = 0.01**2, 0.03**2


def gaussian() -> list[float]:
    """The 11 taps, summing to 1."""
    taps = [math.exp(-((x / SIGMA) ** 2) / 2) for x in range(-RADIUS, RADIUS + 1)]
    return [tap / sum(taps) for tap in taps]


def blur(x: Tensor, dim: int) -> Tensor:
    """Gaussian mean along `dim`, the border repeated. Shifted sums: TF32 would spoil a convolution's variances."""
    size = x.shape[dim]
    index = torch.arange(-RADIUS, size + RADIUS, device=x.device).clamp(0, size - 1)
    x = x.index_select(dim, index)
    first, *taps = gaussian()
    out = first * x.narrow(dim, 0, size)
    for k, tap in enumerate(taps, 1):
        out.add_(x.narrow(dim, k, size), alpha=tap)
    return out


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Similarity at every pixel and channel, at most 1.

    The window is an 11x11x11 Gaussian over channels, rows and columns, the border repeated in all three;
    L = 1. Neither skimage's nor Matlab's SSIM: those have no window over channels.

    Args:
        a, b: `b c h w` in [0, 1], float32 or float64.

    Returns:
        `b c h w`.
    """
    x = torch.stack((a, b, a * a + b * b, a * b))
    for dim in (-1, -2, -3):
        x = blur(x, dim)
    mean_a, mean_b, square, product = x.unbind()
    both, power = mean_a * mean_b, mean_a**2 + mean_b**2
    return (2 * both + C1) * (2 * (product - both) + C2) / ((power + C1) * (square - power + C2))
