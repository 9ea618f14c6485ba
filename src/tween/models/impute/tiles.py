"""A network of one size over frames of any size: tiles that overlap and fade into one another."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor


def tiled(net: Callable[[Tensor], Tensor], clip: Tensor, side: int, overlap: int) -> Tensor:
    """`net` of every tile `b t c side side` of `b t c h w`; a frame that is smaller one way is taken whole that way."""
    h, w = clip.shape[-2:]
    if h <= side and w <= side:
        return net(clip)
    total, weight = torch.zeros_like(clip), clip.new_zeros(h, w)
    tall, wide = min(h, side), min(w, side)
    ramp = faded(tall, h, overlap, clip)[:, None] * faded(wide, w, overlap, clip)
    for y in starts(h, side, overlap):
        for x in starts(w, side, overlap):
            at = (..., slice(y, y + tall), slice(x, x + wide))
            total[at] += net(clip[at].contiguous()) * ramp
            weight[at] += ramp
    return total / weight


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles begin, evenly spread, that share `overlap` or more."""
    count = max(1, ceil((length - overlap) / (side - overlap)))
    return [round(i * (length - side) / (count - 1)) for i in range(count)] if count > 1 else [0]


def faded(size: int, length: int, overlap: int, like: Tensor) -> Tensor:
    """Weights of a tile along one axis: up over `overlap` from each end; 1 where it is the only one."""
    if size == length:
        return like.new_ones(size)
    at = torch.arange(size, device=like.device, dtype=like.dtype)
    return (torch.minimum(at, size - 1 - at) + 1).clamp(max=overlap + 1) / (overlap + 1)
