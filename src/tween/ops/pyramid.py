"""Laplacian pyramid (Burt and Adelson, 1983) with the 5x5 binomial window.

The window [1 4 6 4 1] / 16 is what four averages of two neighbours come to, so every blur here is a few
2x2 mean pools: exact in any float type, quick without a convolution library and fused by a compiler.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def halve(x: Tensor) -> Tensor:
    """`b c h w` blurred and every second pixel kept: `b c ceil(h/2) ceil(w/2)`; the border is reflected."""
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    for _ in range(3):
        x = F.avg_pool2d(x, 2, 1)
    return F.avg_pool2d(x, 2, 2)


def double(x: Tensor, h: int, w: int) -> Tensor:
    """`x` with zeros between its pixels, blurred with four times the window: `b c h w`."""
    x = F.pad(F.pad(x, (1, 0, 1, 0), mode="reflect"), (0, 1, 0, 1), mode="replicate")
    x = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
    for _ in range(3):
        x = F.avg_pool2d(x, 2, 1)
    return x[..., 1 : h + 1, 1 : w + 1]


def laplacian_pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """`levels` band-pass pictures, finest first, and the low-pass rest; linear in `x`.

    Args:
        x: `b c h w`; sides of more than 2^levels pixels.
    """
    bands = []
    for _ in range(levels):
        coarse = halve(x)
        bands.append(x - double(coarse, *x.shape[-2:]))
        x = coarse
    return [*bands, x]
