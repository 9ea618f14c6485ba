"""Chroma between its own grid and the luma grid, such that down after up gives back every sample exactly.

Along an axis, chroma samples sit either on every second luma sample (co-sited) or midway between two (centred).
Each case is a pair of biorthogonal filters (Cohen, Daubechies, Feauveau 1992), in lifting form so that the
identity holds at the borders and for odd lengths too:

    co-sited: up [1 2 1]/2,               down [-1 2 6 2 -1]/8    (LeGall 5/3)
    centred:  up [-1 1 8 8 1 -1]/8,       down [1 1]/2
"""

from __future__ import annotations

import numpy as np

Planes = np.ndarray


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


def _at(axis: int, start: int | None, stop: int | None, step: int | None = None) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop, step),)


def _grown(x: Planes, size: int, axis: int) -> Planes:
    return np.empty((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)


def _up_cosited(x: Planes, size: int, axis: int) -> Planes:
    out = _grown(x, size, axis)
    out[_at(axis, 0, None, 2)] = x
    odd = out[_at(axis, 1, None, 2)]
    between = x.shape[axis] - 1
    np.add(x[_at(axis, None, -1)], x[_at(axis, 1, None)], out=odd[_at(axis, None, between)])
    odd[_at(axis, None, between)] *= 0.5
    odd[_at(axis, between, None)] = x[_at(axis, between, between + odd.shape[axis] - between)]
    return out


def _up_centred(x: Planes, size: int, axis: int) -> Planes:
    out = _grown(x, size, axis)
    paired = size // 2
    slope = np.empty_like(x)  # an eighth of the difference of the neighbours, the border repeated
    np.subtract(x[_at(axis, 2, None)], x[_at(axis, None, -2)], out=slope[_at(axis, 1, -1)])
    slope[_at(axis, 0, 1)] = x[_at(axis, 1, 2)] - x[_at(axis, 0, 1)] if x.shape[axis] > 1 else 0
    slope[_at(axis, -1, None)] = x[_at(axis, -1, None)] - x[_at(axis, -2, -1)] if x.shape[axis] > 1 else 0
    slope *= 0.125
    slope[_at(axis, paired, None)] = (
        0  # an odd last sample stands for a single luma sample: nothing to share out
    )
    np.subtract(x, slope, out=out[_at(axis, 0, None, 2)])
    np.add(x[_at(axis, None, paired)], slope[_at(axis, None, paired)], out=out[_at(axis, 1, None, 2)])
    return out


def _down_centred(x: Planes, axis: int) -> Planes:
    out = x[_at(axis, 0, None, 2)].copy()
    odd = x[_at(axis, 1, None, 2)]
    mean = out[_at(axis, None, odd.shape[axis])]
    mean += odd
    mean *= 0.5
    return out


def _down_cosited(x: Planes, axis: int) -> Planes:
    out = x[_at(axis, 0, None, 2)].copy()
    detail = x[_at(axis, 1, None, 2)].copy()  # what the line between the even neighbours misses
    n, between = out.shape[axis], out.shape[axis] - 1
    if not detail.shape[axis]:
        return out
    line = out[_at(axis, None, -1)] + out[_at(axis, 1, None)]
    line *= 0.5
    detail[_at(axis, None, between)] -= line
    detail[_at(axis, between, None)] -= out[_at(axis, between, between + detail.shape[axis] - between)]
    detail *= 0.25
    out[_at(axis, None, detail.shape[axis])] += detail
    out[_at(axis, 1, None)] += detail[_at(axis, None, n - 1)]
    out[_at(axis, 0, 1)] += detail[_at(axis, 0, 1)]
    if detail.shape[axis] < n:
        out[_at(axis, -1, None)] += detail[_at(axis, -1, None)]
    return out
