"""Tiles that cover a length and fade into one another."""

from __future__ import annotations

import torch
from torch import Tensor


def starts(length: int, size: int, count: int) -> list[int]:
    """Where `count` tiles of `size` begin, evenly spread from one end of `length` to the other."""
    return [round(i * (length - size) / (count - 1)) for i in range(count)] if count > 1 else [0]


def ramp(start: int, size: int, length: int, overlap: int, like: Tensor) -> Tensor:
    """Weights `size` of a tile along one side: up over `overlap` pixels from inner borders, 1 at the frame's own."""
    at = torch.arange(size, device=like.device, dtype=like.dtype)
    weights = torch.ones_like(at)
    if start > 0:
        weights = torch.minimum(weights, (at + 1) / (overlap + 1))
    if start + size < length:
        weights = torch.minimum(weights, (size - at) / (overlap + 1))
    return weights
