"""Chroma between its own grid and the luma grid, such that down after up gives back every sample exactly.

Along an axis, chroma samples sit either on every second luma sample (co-sited) or midway between two (centred).
Each case is a pair of biorthogonal filters (Cohen, Daubechies, Feauveau 1992), in lifting form so that the
identity holds at the borders and for odd lengths too:

    co-sited: up [1 2 1]/2,               down [-1 2 6 2 -1]/8    (LeGall 5/3)
    centred:  up [-1 1 8 8 1 -1]/8,       down [1 1]/2
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import cv2
import numpy as np

Planes = np.ndarray
Band = tuple[slice, slice, slice, slice]
T = TypeVar("T")
REACH = 2  # chroma rows beside it that a row depends on, up and down, even where `up` doubles twice
BAND = 2**17  # pixels worked on at once, so that what is made on the way stays in a core's cache


def up(planes: Planes, height: int, width: int, *, cosited: tuple[bool, bool]) -> Planes:
    """Planes `c h w` on the luma grid `c height width`; `cosited` says so for (y, x). A full-size axis is kept."""
    for axis, size in ((1, height), (2, width)):
        while planes.shape[axis] < size:  # twice for formats with a quarter of the chroma, such as 4:1:1
            half = size if size <= 2 * planes.shape[axis] else -(-size // 2)
            planes = _up_cosited(planes, half, axis) if cosited[axis - 1] else _up_centred(planes, half, axis)
    return planes


def down(planes: Planes, height: int, width: int, *, cosited: tuple[bool, bool]) -> Planes:
    """Planes `c h w` on a chroma grid `c height width`: the exact inverse of `up`."""
    for axis, size in ((1, height), (2, width)):
        while planes.shape[axis] > size:
            planes = _down_cosited(planes, axis) if cosited[axis - 1] else _down_centred(planes, axis)
    return planes


def bands(height: int, width: int, chroma_height: int) -> Iterator[Band]:
    """Bands of a picture that can be brought up or down one by one, with the same result.

    Yields four slices of rows: `near`, the chroma rows that a band needs; `wide`, the luma rows of these;
    `rows`, the luma rows of the band itself; `own`, where its chroma rows lie within `near`.
    """
    step = -(-height // chroma_height)
    count = max(1, BAND // (width * step))
    for begin in range(0, chroma_height, count):
        end = min(begin + count, chroma_height)
        low, high = max(begin - REACH, 0), min(end + REACH, chroma_height)
        wide = slice(step * low, min(step * high, height))
        rows = slice(step * begin, min(step * end, height))
        yield slice(low, high), wide, rows, slice(begin - low, end - low)


def each(work: Callable[[Band], T], bands: Iterable[Band]) -> list[T]:
    """What `work` makes of every band, by a few threads where the machine has cores to spare for them."""
    spare = (os.cpu_count() or 1) // 4  # the decoder, the network and the encoder want some too
    return [work(band) for band in bands] if spare < 2 else list(_pool(min(spare, 8)).map(work, bands))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="colour")


def _up_cosited(x: Planes, size: int, axis: int) -> Planes:
    odd = x + _after(x, axis)
    odd *= 0.5
    return _woven(x, odd, size, axis)


def _up_centred(x: Planes, size: int, axis: int) -> Planes:
    slope = _after(x, axis) - _before(x, axis)
    slope *= 0.125
    if size < 2 * x.shape[axis]:  # the last stands for a single luma sample: nothing to share out
        slope[_at(axis, -1, None)] = 0
    return _woven(x - slope, x + slope, size, axis)


def _down_centred(x: Planes, axis: int) -> Planes:
    even, odd = _parted(x, axis)
    mean = even + odd
    mean *= 0.5
    return mean


def _down_cosited(x: Planes, axis: int) -> Planes:
    even, odd = _parted(x, axis)
    line = even + _after(even, axis)
    line *= 0.5
    detail = odd - line
    detail *= 0.25
    if x.shape[axis] % 2 and x.shape[axis] > 1:
        detail[_at(axis, -1, None)] = detail[_at(axis, -2, -1)]
    out = even + detail
    out += _before(detail, axis)
    return out


def _at(axis: int, start: int | None, stop: int | None, step: int | None = None) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop, step),)


def _after(x: Planes, axis: int) -> Planes:
    """Each sample's next along an axis, the last one's being itself.

    The shift goes over the whole memory at once, which is several times faster than row by row.
    """
    x = np.ascontiguousarray(x)
    out, stride = np.empty_like(x), x.shape[2] if axis == 1 else 1
    out.reshape(-1)[:-stride] = x.reshape(-1)[stride:]
    out[_at(axis, -1, None)] = x[_at(axis, -1, None)]
    return out


def _before(x: Planes, axis: int) -> Planes:
    """Each sample's last along an axis, the first one's being itself."""
    x = np.ascontiguousarray(x)
    out, stride = np.empty_like(x), x.shape[2] if axis == 1 else 1
    out.reshape(-1)[stride:] = x.reshape(-1)[:-stride]
    out[_at(axis, 0, 1)] = x[_at(axis, 0, 1)]
    return out


def _woven(even: Planes, odd: Planes, size: int, axis: int) -> Planes:
    """The first `size` of even and odd samples in turns along an axis. OpenCV does it along rows several times
    faster than strided slices do."""
    c, h, w = even.shape
    if axis == 2:
        return cv2.merge([even.reshape(c * h, w), odd.reshape(c * h, w)]).reshape(c, h, 2 * w)[..., :size]
    return np.stack([even, odd], 2).reshape(c, 2 * h, w)[:, :size]


def _parted(x: Planes, axis: int) -> tuple[Planes, Planes]:
    """The even and the odd samples along an axis, as many of both: the last is repeated where an odd one lacks."""
    if x.shape[axis] % 2:
        x = np.concatenate([x, x[_at(axis, -1, None)]], axis)
    if axis == 1:
        return x[:, 0::2], x[:, 1::2]
    c, h, w = x.shape
    even, odd = cv2.split(np.ascontiguousarray(x).reshape(c * h, w // 2, 2))
    return even.reshape(c, h, -1), odd.reshape(c, h, -1)
