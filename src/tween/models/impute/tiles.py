"""A network of one size over frames of any size: tiles that overlap and fade into one another."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

from tween.ops.tiles import ramp, starts


def tiled(net: Callable[[Tensor], Tensor], clip: Tensor, side: int, overlap: int) -> Tensor:
    """`net` of every tile `b t c side side` of `b t c h w`; a frame that is smaller one way is taken whole that way."""
    h, w = clip.shape[-2:]
    if h <= side and w <= side:
        return net(clip)
    total, weight = torch.zeros_like(clip), clip.new_zeros(h, w)
    tall, wide = min(h, side), min(w, side)
    for y in starts(h, tall, enough(h, side, overlap)):
        for x in starts(w, wide, enough(w, side, overlap)):
            at = (..., slice(y, y + tall), slice(x, x + wide))
            share = ramp(y, tall, h, overlap, clip)[:, None] * ramp(x, wide, w, overlap, clip)
            total[at] += net(clip[at].contiguous()) * share
            weight[at] += share
    return total / weight


def enough(length: int, side: int, overlap: int) -> int:
    """How many tiles cover `length` and share `overlap` or more."""
    return max(1, ceil((length - overlap) / (side - overlap)))
