"""Any frame size for any filler: padded to its multiple, and cut into overlapping tiles where memory would not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tween.core import Filler
from tween.ops.tiles import ramp, starts

OVERLAP = 96  # pixels that neighbouring tiles share; each fades into the other across them


@dataclass(frozen=True)
class Tile:
    """One tile: where it starts and how large it is, in pixels of the padded frame."""

    y: int
    x: int
    h: int
    w: int


class Tiled:
    """A filler for frames of any size, made of one that takes multiples; at most `pixels` of a frame at once.

    Frames are padded by repeating their border. The state holds one state of the inner filler for each tile.
    """

    multiple = 1

    def __init__(self, filler: Filler, *, pixels: int | None = None, overlap: int = OVERLAP) -> None:
        self.filler, self.pixels, self.overlap = filler, pixels, overlap
        self.past, self.future, self.bytes_per_pixel = filler.past, filler.future, filler.bytes_per_pixel
        self.most, self.condition = getattr(filler, "most", None), getattr(filler, "condition", None)

    def tiles(self, h: int, w: int) -> list[Tile]:
        """Tiles that cover a frame of `h` x `w` padded pixels, of one size, a multiple of the filler's."""
        rows = columns = 1
        while True:
            size = self._size(h, rows), self._size(w, columns)
            smallest = size[0] <= 2 * self.overlap and size[1] <= 2 * self.overlap
            if self.pixels is None or size[0] * size[1] <= self.pixels or smallest:
                break
            if size[0] > size[1]:
                rows += 1
            else:
                columns += 1
        return [Tile(y, x, *size) for y in starts(h, size[0], rows) for x in starts(w, size[1], columns)]

    def begin(
        self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any
    ) -> tuple[Any, ...]:
        """One state a tile, before the first frame of shape `(b, c, h, w)`, any h and w."""
        b, c, h, w = shape
        begin = [
            self.filler.begin((b, c, tile.h, tile.w), seed=seed, device=device, dtype=dtype)
            for tile in self.tiles(self.up(h), self.up(w))
        ]
        return tuple(begin)

    def fill(
        self,
        state: tuple[Any, ...],
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """As `Filler.fill`; where tiles overlap, each counts by a ramp that falls to its inner borders."""
        h, w = known.shape[-2:]
        padded = _pad(known, self.up(h) - h, self.up(w) - w)
        tiles = self.tiles(*padded.shape[-2:])
        if len(tiles) == 1:
            made, after = self.filler.fill(state[0], padded, known_t, query_t, cond)
            return made[..., :h, :w], (after,)
        total = weights = None
        states = []
        for tile, before in zip(tiles, state, strict=True):
            at = (..., slice(tile.y, tile.y + tile.h), slice(tile.x, tile.x + tile.w))
            made, after = self.filler.fill(before, padded[at].contiguous(), known_t, query_t, cond)
            states.append(after)
            if total is None:
                total = made.new_zeros((*made.shape[:-2], *padded.shape[-2:]), dtype=torch.float32)
                weights = total.new_zeros(padded.shape[-2:])
            weight = ramp(tile.y, tile.h, padded.shape[-2], self.overlap, total)[:, None]
            weight = weight * ramp(tile.x, tile.w, padded.shape[-1], self.overlap, total)
            total[at] += made * weight
            weights[at] += weight
        return (total / weights)[..., :h, :w], tuple(states)

    def up(self, side: int) -> int:
        """`side`, rounded up to the inner filler's multiple."""
        return ceil(side / self.filler.multiple) * self.filler.multiple

    def _size(self, side: int, parts: int) -> int:
        return min(side, self.up(ceil((side + (parts - 1) * self.overlap) / parts)))


def _pad(known: Tensor, bottom: int, right: int) -> Tensor:
    if not (bottom or right):
        return known
    flat = F.pad(known.flatten(0, 1), (0, right, 0, bottom), mode="replicate")
    return flat.unflatten(0, known.shape[:2])
