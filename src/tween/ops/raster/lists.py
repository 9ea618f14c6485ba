"""Which Gaussians each tile of the picture must draw, front to back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from tween.ops.raster.projection import Projected
from tween.ops.raster.scene import Camera, pair


class Lists(NamedTuple):
    """Pairs of a tile and a Gaussian that reaches it, by tile, then by depth.

    Attributes:
        ids: `m`, Gaussians of the whole batch, numbered 0 .. b n - 1.
        start: `b rows columns + 1`, where each tile's list begins; the last is m.
        batch, rows, columns: the grid of tiles.
        side: of a tile, px.
    """

    ids: Tensor
    start: Tensor
    batch: int
    rows: int
    columns: int
    side: int


@torch.no_grad()
def intersect(seen: Projected, camera: Camera, side: int) -> Lists:
    """Lists of all tiles of `side` px; a pair for every tile that the box of a Gaussian touches."""
    b, n = seen.depth.shape
    rows, columns = -(-camera.height // side), -(-camera.width // side)
    visible = (seen.extent > 0).all(-1)
    order = torch.where(visible, seen.depth, torch.inf).argsort(dim=1, stable=True)
    order = (order + torch.arange(b, device=order.device)[:, None] * n).flatten()

    xy, extent = seen.xy.flatten(0, 1)[order], seen.extent.flatten(0, 1)[order]
    last = pair(camera.width - 1, camera.height - 1, xy)
    low = (xy - extent - 0.5).ceil().clamp_min(0)  # the first and last pixels whose middles lie in the box
    high = torch.minimum((xy + extent - 0.5).floor(), last)
    reached = visible.flatten()[order] & (low <= high).all(-1)
    low, high = (torch.where(reached[:, None], t, 0.0).long() // side for t in (low, high))
    across, down = (high - low + 1).unbind(-1)
    corner = (order // n * rows + low[:, 1]) * columns + low[:, 0]  # the first tile of each Gaussian

    touched = across * down * reached
    pairs = torch.repeat_interleave(touched)
    begin, across, corner = (t.index_select(0, pairs) for t in (touched.cumsum(0) - touched, across, corner))
    place = torch.arange(len(pairs), device=pairs.device) - begin
    tile = corner + place // across * columns + place % across
    tile, by_tile = tile.int().sort(stable=True)
    tiles = torch.arange(b * rows * columns + 1, device=tile.device, dtype=torch.int32)
    ids = order.index_select(0, pairs.index_select(0, by_tile))
    return Lists(ids, torch.searchsorted(tile, tiles), b, rows, columns, side)


def groups(lists: Lists, budget: int) -> Iterator[tuple[Tensor, list[tuple[int, int]]]]:
    """Tiles `t` with lists of about one length, and the slices of their lists to take one after the other, such that
    tiles x slice x pixels stays near `budget`."""
    counts, tiles = lists.start.diff().sort(descending=True)
    lengths, pixels, first = counts.tolist(), lists.side**2, 0
    while first < len(lengths) and lengths[first]:
        longest = lengths[first]
        taken = max(1, budget // (longest * pixels))
        step = max(1, budget // pixels) if taken == 1 else longest
        yield tiles[first : first + taken], [(i, min(i + step, longest)) for i in range(0, longest, step)]
        first += taken


def members(lists: Lists, tiles: Tensor, begin: int, end: int, nobody: int) -> Tensor:
    """Gaussians number begin .. end of each tile's list, `t end-begin`; `nobody` beyond the list."""
    at = lists.start[tiles][:, None] + torch.arange(begin, end, device=tiles.device)
    ids = lists.ids[at.clamp_max(len(lists.ids) - 1)]
    return torch.where(at < lists.start[tiles + 1][:, None], ids, nobody)
