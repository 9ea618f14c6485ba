"""Reading a plane as sequences, and back: the interleaved two-frame scan in four directions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Branch = Callable[[Tensor, bool], Tensor]

__all__ = ["Branch", "flip_scan2d", "published_scan2d", "scan2d"]


def scan2d(tokens: Tensor, branch: Branch) -> Tensor:
    """Run `branch` along rows, columns and both backwards, and sum what it gives.

    The f frames are interleaved: token `f p + k` is place p of frame k, so that a place meets its twin
    (VFIMamba, Zhang et al. 2024, with an exact un-merge). One direction is alive at a time, rows are read
    from a free view, and backwards is the branch's affair: nothing is flipped.

    Args:
        tokens: `b h w f c`.
        branch: `(b l c, reverse) -> b l c'`, with l = h w f.

    Returns:
        `b h w f c'`.
    """
    columns = tokens.transpose(1, 2)
    rows_out = _both_ways(tokens, branch)
    return rows_out + _both_ways(columns, branch).transpose(1, 2)


def published_scan2d(tokens: Tensor, branch: Branch) -> Tensor:
    """`scan2d` with the un-merge of the code released with VFIMamba, for its ablation.

    It reads a column sequence, ordered (w, h, f), as if it were (f, w, h): for even h, three quarters of the column
    tokens are added to another place or frame than they belong to. Shapes as `scan2d`.
    """
    h, w, f = tokens.shape[1:4]
    rows_out = _both_ways(tokens, branch)
    columns_out = _both_ways(tokens.transpose(1, 2), branch).flatten(1, 3)
    misplaced = columns_out.unflatten(1, (f, w, h)).transpose(2, 3).flatten(1, 3)
    return rows_out + misplaced.unflatten(1, (h, w, f))


def flip_scan2d(tokens: Tensor, branch: Branch) -> Tensor:
    """Standard SS2D (VMamba, Liu et al. 2024), for its ablation: each frame alone, four copies, two flipped.

    Shapes as `scan2d`; the branch sees one batch `4 b f`, l = h w, never reversed.
    """
    b, h, w, f, c = tokens.shape
    frames = tokens.permute(0, 3, 1, 2, 4)
    rows, columns = frames.reshape(b * f, h * w, c), frames.transpose(2, 3).reshape(b * f, h * w, c)
    out = branch(torch.cat([rows, columns, rows.flip(1), columns.flip(1)]), False).unflatten(0, (4, b * f))
    rows, columns = out[0] + out[2].flip(1), out[1] + out[3].flip(1)
    out = rows.view(b, f, h, w, -1) + columns.view(b, f, w, h, -1).transpose(2, 3)
    return out.permute(0, 2, 3, 1, 4)


def _both_ways(plane: Tensor, branch: Branch) -> Tensor:
    """`b i j f c` read in its own order and backwards -> `b i j f c'`."""
    sequence = plane.flatten(1, 3)
    return (branch(sequence, False) + branch(sequence, True)).unflatten(1, plane.shape[1:4])
