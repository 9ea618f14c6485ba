"""Laplacian pyramid (Burt and Adelson, 1983) with the 5x5 binomial window, as depthwise convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def binomial(x: Tensor) -> Tensor:
    """[1 4 6 4 1] / 16 in the type of `x`, computed where `x` is: a copy from the host would wait for the device."""
    d = torch.arange(-2, 3, device=x.device, dtype=x.dtype).abs()
    return (6 - 1.5 * d - 0.5 * d * d) / 16


def halve(x: Tensor) -> Tensor:
    """`b c h w` blurred and every second pixel kept: `b c ceil(h/2) ceil(w/2)`; the border is reflected."""
    c, taps = x.shape[1], binomial(x)
    window = (taps[:, None] * taps).expand(c, 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), window, stride=2, groups=c)


def double(x: Tensor) -> Tensor:
    """`b c h w` with zeros between the pixels, blurred with four times the window: `b c 2h 2w`.

    An even pixel sees three of the taps and an odd one the other two, so no zero is ever multiplied.
    """
    c = x.shape[1]
    odd, even = F.pad(2 * binomial(x), (1, 0)).view(3, 2).unbind(1)
    phases = torch.stack((even, odd))
    windows = torch.einsum("ay,bx->abyx", phases, phases).reshape(4, 1, 3, 3).repeat(c, 1, 1, 1)
    x = torch.cat((x[..., 1:2], x, x[..., -1:]), -1)  # what a reflected border comes to after the zeros
    x = torch.cat((x[..., 1:2, :], x, x[..., -1:, :]), -2)
    return F.pixel_shuffle(F.conv2d(x, windows, groups=c), 2)


def laplacian_pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """`levels` band-pass pictures, finest first, and the low-pass rest; linear in `x`.

    Args:
        x: `b c h w`; sides of more than 2^levels pixels.
    """
    bands = []
    for _ in range(levels):
        coarse = halve(x)
        bands.append(x - double(coarse)[..., : x.shape[-2], : x.shape[-1]])
        x = coarse
    return [*bands, x]
