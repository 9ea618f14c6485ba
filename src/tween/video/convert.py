"""The one conversion path between planes of code values and RGB.

Original and generated frames go through the same two functions, `decoded` and `encoded`, which undo each other:
in-gamut planes come back as they were, at any bit depth and subsampling. Both take numpy arrays, by a few threads and
in bands of rows, or tensors, whole and on their device.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import av
import numpy as np
from torch import Tensor

from tween.video import arrays, chroma
from tween.video.arrays import Array
from tween.video.colour import Colour, chroma_code, cosited, luma_code, matrix
from tween.video.planes import Layout, frame_of


def decoded(
    planes: Sequence[Array], layout: Layout, colour: Colour, parts: Sequence[slice] | None = None
) -> Array:
    """RGB `c h w` float32 of planes `h w` (G, B, R where the layout is `rgb`; a fourth is alpha), c = 4 where
    there is alpha.

    Values are clamped to [0, 1], as a display does with what lies outside its gamut.

    Args:
        colour: what to convert by: `Colour.assumed`.
        parts: the rows that are wanted, see `chroma.bands`; None: all of them.
    """
    height, width = planes[0].shape
    rows = len(planes[1]) if len(planes) > 1 else height
    alpha = len(planes) == 4
    parts = parts or chroma.whole(height, width, rows, _most(planes[0]))
    rgb = arrays.empty(planes[0], 3 + alpha, sum(part.stop - part.start for part in parts), width)
    colours = _from_rgb if layout.rgb else _from_grey if len(planes) == 1 else _from_yuv

    def fill(band: chroma.Band) -> None:
        rgb[:3, band.out] = colours(planes, layout, colour, band)
        if alpha:
            rgb[3:, band.out] = arrays.floats([planes[3][band.rows]]) / (2**layout.bits - 1)

    chroma.each(fill, list(chroma.bands(height, rows, parts)))
    return rgb


def encoded(rgb: Array, layout: Layout, colour: Colour) -> list[Array]:
    """Planes of code values of RGB `c h w`; values outside [0, 1] are clamped. Missing alpha is opaque."""
    full = 2**layout.bits - 1
    planes = (
        [arrays.codes(rgb[c] * full, full) for c in (1, 2, 0)]
        if layout.rgb
        else _to_yuv(rgb[:3], layout, colour)
    )
    if layout.alpha:
        alpha = rgb[3] * full if len(rgb) == 4 else 0 * rgb[0] + full
        planes.append(arrays.codes(alpha, full))
    return planes


def from_rgb(rgb: Tensor, pix_fmt: str, colour: Colour) -> av.VideoFrame:
    """A frame of format `pix_fmt` from RGB `c h w` on any device, where it is converted."""
    height, width = rgb.shape[-2:]
    layout = Layout.of(pix_fmt)
    planes = encoded(arrays.of(rgb), layout, colour.assumed(layout, height))
    return frame_of(arrays.host(planes), width, height, layout)


def _most(array: Array) -> int:
    """Pixels converted at once."""
    return sys.maxsize if isinstance(array, Tensor) else chroma.BAND


def _from_rgb(planes: Sequence[Array], layout: Layout, colour: Colour, band: chroma.Band) -> Array:
    rgb = arrays.floats([planes[c][band.rows] for c in (2, 0, 1)])  # stored as G, B, R
    rgb /= 2**layout.bits - 1
    return rgb


def _from_grey(planes: Sequence[Array], layout: Layout, colour: Colour, band: chroma.Band) -> Array:
    scale, offset = luma_code(colour.range, layout.bits)
    return ((arrays.floats([planes[0][band.rows]]) - offset) / scale).clip(0, 1)


def _from_yuv(planes: Sequence[Array], layout: Layout, colour: Colour, band: chroma.Band) -> Array:
    """What chroma adds to R, G and B is computed on its own small grid and brought up from there."""
    inverse = np.linalg.inv(matrix(colour.matrix))  # columns: what Y, Cb and Cr add to R, G, B
    y_scale, y_offset = luma_code(colour.range, layout.bits)
    c_scale, c_offset = chroma_code(colour.range, layout.bits)
    sited = cosited(colour.location)
    both = arrays.floats([plane[band.near] for plane in planes[1:3]])
    both -= c_offset
    small = arrays.mix(inverse[:, 1:] / c_scale, both)
    y = arrays.floats([planes[0][band.rows]])
    y -= y_offset
    y *= 1 / y_scale
    high = chroma.up(small, band.wide.stop - band.wide.start, small.shape[2], cosited=sited)[:, band.inner]
    rgb = chroma.up(high, high.shape[1], y.shape[2], cosited=sited)
    rgb += y
    return rgb.clip(0, 1)


def _to_yuv(rgb: Array, layout: Layout, colour: Colour) -> list[Array]:
    """Code values of Y, Cb and Cr (Y alone for grey) of RGB `3 h w`."""
    _, height, width = rgb.shape
    rows, columns = (height, 1) if layout.grey else layout.chroma_size(height, width)
    parts = chroma.whole(height, width, rows, _most(rgb[0]))
    work = _yuv_of(rgb, layout, colour, -(-height // rows), columns)
    made = chroma.each(work, list(chroma.bands(height, rows, parts)))
    return [arrays.joined(pieces) for pieces in zip(*made, strict=True)]


def _yuv_of(
    rgb: Array, layout: Layout, colour: Colour, step: int, columns: int
) -> Callable[[chroma.Band], list[Array]]:
    full = 2**layout.bits - 1
    forward = matrix(colour.matrix)
    y_scale, y_offset = luma_code(colour.range, layout.bits)
    c_scale, c_offset = chroma_code(colour.range, layout.bits)

    def codes(band: chroma.Band) -> list[Array]:
        pixels = rgb[:, band.wide].clip(0, 1)
        luma = arrays.mix(y_scale * forward[:1], pixels[:, band.inner])
        luma += y_offset
        made = [arrays.codes(luma[0], full)]
        if not layout.grey:
            near = -(-pixels.shape[1] // step)
            small = chroma.down(pixels, near, columns, cosited=cosited(colour.location))[:, band.own]
            both = arrays.mix(c_scale * forward[1:], small)
            both += c_offset
            made.extend(arrays.codes(plane, full) for plane in both)
        return made

    return codes
