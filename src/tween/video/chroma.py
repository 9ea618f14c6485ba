"""Chroma between its own grid and the luma grid, such that down after up gives back every sample exactly.

Along an axis, chroma samples sit either on every second luma sample (co-sited) or midway between two (centred).
Each case is a pair of biorthogonal filters (Cohen, Daubechies, Feauveau 1992), in lifting form so that the
identity holds at the borders and for odd lengths too:

    co-sited: up [1 2 1]/2,               down [-1 2 6 2 -1]/8    (LeGall 5/3)
    centred:  up [-1 1 8 8 1 -1]/8,       down [1 1]/2
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple, TypeVar

from tween.video.arrays import Array, after, at, before, parted, woven

T = TypeVar("T")
REACH = 2  # chroma rows beside it that a row depends on, up and down, even where `up` doubles twice
BAND = 2**17  # pixels worked on at once by numpy, so that what is made on the way stays in a core's cache


class Band(NamedTuple):
    """Rows of a picture that can be converted by themselves, with the same result.

    Attributes:
        near: the chroma rows that it needs. wide: the luma rows of these.
        rows: its own luma rows. own: where its chroma rows lie within `near`.
        out: where its luma rows lie in what is made of all bands.
    """

    near: slice
    wide: slice
    rows: slice
    own: slice
    out: slice

    @property
    def inner(self) -> slice:
        """Where `rows` lie within `wide`."""
        return slice(self.rows.start - self.wide.start, self.rows.stop - self.wide.start)


def up(planes: Array, height: int, width: int, *, cosited: tuple[bool, bool]) -> Array:
    """Planes `c h w` on the luma grid `c height width`; `cosited` says so for (y, x). A full-size axis is kept."""
    for axis, size in ((1, height), (2, width)):
        while planes.shape[axis] < size:  # twice for formats with a quarter of the chroma, such as 4:1:1
            half = size if size <= 2 * planes.shape[axis] else -(-size // 2)
            planes = _up_cosited(planes, half, axis) if cosited[axis - 1] else _up_centred(planes, half, axis)
    return planes


def down(planes: Array, height: int, width: int, *, cosited: tuple[bool, bool]) -> Array:
    """Planes `c h w` on a chroma grid `c height width`: the exact inverse of `up`."""
    for axis, size in ((1, height), (2, width)):
        while planes.shape[axis] > size:
            planes = _down_cosited(planes, axis) if cosited[axis - 1] else _down_centred(planes, axis)
    return planes


def bands(height: int, chroma_height: int, parts: Sequence[slice]) -> Iterator[Band]:
    """A band for each of `parts`, which are luma rows that begin with a chroma row, and end with one or at the end."""
    step, begin = -(-height // chroma_height), 0
    for rows in parts:
        first, last = rows.start // step, -(-rows.stop // step)
        low, high = max(first - REACH, 0), min(last + REACH, chroma_height)
        end = begin + rows.stop - rows.start
        yield Band(
            near=slice(low, high),
            wide=slice(step * low, min(step * high, height)),
            rows=rows,
            own=slice(first - low, last - low),
            out=slice(begin, end),
        )
        begin = end


def whole(height: int, width: int, chroma_height: int, pixels: int = BAND) -> list[slice]:
    """A picture in parts of about `pixels`, for `bands`."""
    step = -(-height // chroma_height)
    count = max(1, pixels // (width * step)) * step
    return [slice(begin, min(begin + count, height)) for begin in range(0, height, count)]


def each(work: Callable[[Band], T], bands: Sequence[Band]) -> list[T]:
    """What `work` makes of every band, by a few threads where the machine has cores to spare for them."""
    spare = (os.cpu_count() or 1) // 4  # the decoder, the network and the encoder want some too
    if spare < 2 or len(bands) == 1:
        return [work(band) for band in bands]
    return list(_pool(min(spare, 8)).map(work, bands))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="colour")


def _up_cosited(x: Array, size: int, axis: int) -> Array:
    odd = x + after(x, axis)
    odd *= 0.5
    return woven(x, odd, size, axis)


def _up_centred(x: Array, size: int, axis: int) -> Array:
    slope = after(x, axis) - before(x, axis)
    slope *= 0.125
    if size < 2 * x.shape[axis]:  # the last stands for a single luma sample: nothing to share out
        slope[at(axis, -1, None)] = 0
    return woven(x - slope, x + slope, size, axis)


def _down_centred(x: Array, axis: int) -> Array:
    even, odd = parted(x, axis)
    mean = even + odd
    mean *= 0.5
    return mean


def _down_cosited(x: Array, axis: int) -> Array:
    even, odd = parted(x, axis)
    line = even + after(even, axis)
    line *= 0.5
    detail = odd - line
    detail *= 0.25
    if x.shape[axis] % 2 and x.shape[axis] > 1:
        detail[at(axis, -1, None)] = detail[at(axis, -2, -1)]
    out = even + detail
    out += before(detail, axis)
    return out
