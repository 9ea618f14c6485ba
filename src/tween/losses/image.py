"""Distances between two pictures, `b c h w` in [0, 1]; each is 0 or its least where they agree."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.core import TweenError
from tween.ops.pyramid import laplacian_pyramid
from tween.ops.ssim import ssim_map

LEVEL = 1 / 255
GRAY = (0.2989, 0.5870, 0.1140)


def laplacian(prediction: Tensor, target: Tensor, *, levels: int = 5, low_pass: float = 1.0) -> Tensor:
    """Sum over pyramid levels of the mean absolute difference (Niklaus and Liu, CVPR 2018; RIFE's LapLoss).

    The pyramid is linear, so one of the difference serves for both. RIFE drops the low-pass rest and is
    thereby blind to a shift of the whole picture's brightness or colour; here it is one more level,
    weighted `low_pass`.

    Args:
        prediction, target: `b 3 h w`, sides of more than 2^levels pixels.

    Raises:
        TweenError: if a side is too small for `levels`.
    """
    if min(prediction.shape[-2:]) <= 2**levels:
        size = tuple(prediction.shape[-2:])
        raise TweenError(f"a pyramid of {levels} levels needs sides over {2**levels} px, but got {size}")
    with torch.autocast(prediction.device.type, enabled=False):
        *bands, rest = laplacian_pyramid(prediction.float() - target.float(), levels)
    return sum(band.abs().mean() for band in bands) + low_pass * rest.abs().mean()


def charbonnier(prediction: Tensor, target: Tensor, eps: float = 1e-3) -> Tensor:
    """Mean of sqrt(difference^2 + eps^2), an L1 smooth at 0 (Charbonnier et al., ICIP 1994); least value eps."""
    return ((prediction.float() - target.float()) ** 2 + eps**2).sqrt().mean()


def census(prediction: Tensor, target: Tensor) -> Tensor:
    """Soft census distance over 7x7 windows (Meister et al., UnFlow, AAAI 2018), in [0, 1).

    Blind to a shift of brightness. A pixel is described by the softened signs s(d) = d / sqrt(0.81 + d^2) of
    its differences d to its neighbours, in grey levels of 0..255; two descriptions are e^2 / (0.1 + e^2) apart
    for each difference e of their signs. The constants are meant for that range: on [0, 1] the code in
    circulation measures local contrast instead. A pixel and its neighbour make the same pair seen from either,
    so half the neighbours do; nothing is padded, so no border needs masking.

    Args:
        prediction, target: `b 3 h w`, sides of more than 6 pixels.
    """
    return soft_census(gray(prediction)[:, None], gray(target)[:, None], 3)


def soft_census(a: Tensor, b: Tensor, radius: int) -> Tensor:
    """Mean over pixels, channels and neighbours of how far apart the softened signs of two maps are, in [0, 1).

    Args:
        a, b: `b c h w`, sides of more than 2 `radius` pixels; 0.9 is a clear difference.
    """
    h, w = a.shape[-2] - radius, a.shape[-1] - 2 * radius
    apart = torch.zeros((), device=a.device)
    neighbours = half_window(radius)
    for dy, dx in neighbours:
        x0 = radius + dx
        signs = (sign(x[..., dy : dy + h, x0 : x0 + w] - x[..., :h, radius : radius + w]) for x in (a, b))
        e = (next(signs) - next(signs)) ** 2
        apart = apart + e / (0.1 + e)
    return apart.mean() / len(neighbours)


def half_window(radius: int) -> list[tuple[int, int]]:
    """(dy, dx) of the neighbours in a window that come after its centre in reading order."""
    rows, columns = range(radius + 1), range(-radius, radius + 1)
    return [(dy, dx) for dy in rows for dx in columns if (dy, dx) > (0, 0)]


def gray(image: Tensor) -> Tensor:
    """`b h w` luma in grey levels 0..255."""
    r, g, b = image.float().unbind(1)
    return (GRAY[0] * r + GRAY[1] * g + GRAY[2] * b) / LEVEL


def sign(difference: Tensor) -> Tensor:
    """Softened sign in (-1, 1) of a difference in grey levels."""
    return difference * torch.rsqrt(0.81 + difference**2)


def ssim_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - mean SSIM, from 0 to at most 2, by the same map as the metric."""
    return 1 - ssim_map(prediction.float(), target.float()).mean()
