"""The scan as published, with its four copies: what `scan2d` must equal."""

from __future__ import annotations

import torch
from torch import Tensor


def split(tokens: Tensor) -> Tensor:
    """`b h w f c` -> four sequences `4 b l c`: rows, rows backwards, columns, columns backwards."""
    rows, columns = tokens.flatten(1, 3), tokens.transpose(1, 2).flatten(1, 3)
    return torch.stack([rows, rows.flip(1), columns, columns.flip(1)])


def merge(sequences: Tensor, h: int, w: int, f: int) -> Tensor:
    """The sum of the four sequences `4 b l c`, every token back in its place `b h w f c`."""
    rows, columns = sequences[0] + sequences[1].flip(1), sequences[2] + sequences[3].flip(1)
    return rows.unflatten(1, (h, w, f)) + columns.unflatten(1, (w, h, f)).transpose(1, 2)
