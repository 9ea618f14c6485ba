"""Colour tags of a stream, and the one conversion path between its planes and RGB.

Original and generated frames go through the same two functions, `to_rgb` and `from_rgb`, which undo each other:
in-gamut planes come back as they were, at any bit depth and subsampling. Code points are those of ITU-T H.273.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import av
import numpy as np
import torch
from torch import Tensor

from tween.video import chroma
from tween.video.planes import Layout, frame_of, planes_of

FULL, LIMITED = 2, 1
LEFT, CENTRE = 1, 2
UNTAGGED = 2
_RGB, _YCGCO = 0, 8
# Kr and Kb of H.273 table 4. Constant-luminance BT.2020 and ICtCp are not linear in RGB: they are read as BT.2020.
_LUMA = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
    14: (0.2627, 0.0593),
}


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Colour tags of a stream, as it states them: `range` and `location` 0, the others 2, say nothing.

    Attributes:
        range: 0 unspecified, 1 limited (16-235 at 8 bits), 2 full.
        matrix, primaries, transfer: H.273 code points.
        location: chroma siting: 0 unspecified, 1 left, 2 centre, 3 top left, 4 top, 5 bottom left, 6 bottom.
    """

    range: int = 0
    matrix: int = UNTAGGED
    primaries: int = UNTAGGED
    transfer: int = UNTAGGED
    location: int = 0

    def assumed(self, layout: Layout, height: int) -> Colour:
        """What to convert by where the stream is silent: BT.709 from 720 rows up, else BT.601; limited range
        (full for RGB, for the `yuvj` formats and for grey pictures of one plane); chroma at the left, or in the
        centre for `yuvj`, which is JPEG's."""
        matrix = self.matrix if self.matrix in _LUMA or self.matrix == _YCGCO else (1 if height >= 720 else 6)
        return replace(
            self,
            matrix=matrix,
            range=FULL if layout.rgb or layout.jpeg else self.range or LIMITED,
            location=self.location or (CENTRE if layout.jpeg else LEFT),
        )


def to_rgb(frame: av.VideoFrame, colour: Colour) -> Tensor:
    """RGB `c h w` float32 of a decoded frame, c = 4 where it has alpha.

    Values are clamped to [0, 1], as a display does with what lies outside its gamut.
    """
    layout, planes = planes_of(frame)
    colour = colour.assumed(layout, frame.height)
    full = np.float32(2**layout.bits - 1)
    rgb = np.empty((4 if layout.alpha else 3, frame.height, frame.width), np.float32)
    if layout.rgb:
        rgb[1], rgb[2], rgb[0] = planes[:3]  # stored as G, B, R
        rgb[:3] /= full
    elif layout.grey:
        scale, offset = _luma_code(colour.range, layout.bits)
        rgb[:3] = ((planes[0] - offset) / scale).clip(0, 1)
    else:
        _yuv_to_rgb(planes, layout, colour, rgb)
    if layout.alpha:
        rgb[3] = planes[-1] / full
    return torch.from_numpy(rgb)


def from_rgb(rgb: Tensor, pix_fmt: str, colour: Colour) -> av.VideoFrame:
    """A frame of format `pix_fmt` from RGB `c h w`; values outside [0, 1] are clamped. Missing alpha is opaque."""
    pixels = rgb.detach().to("cpu", torch.float32).numpy()
    height, width = pixels.shape[-2:]
    layout = Layout.of(pix_fmt)
    colour = colour.assumed(layout, height)
    full = 2**layout.bits - 1
    if layout.rgb:
        planes = [_codes(pixels[c] * np.float32(full), full) for c in (1, 2, 0)]
    else:
        planes = _rgb_to_yuv(pixels[:3], layout, colour)
    if layout.alpha:
        alpha = pixels[3] if len(pixels) == 4 else np.ones((height, width), np.float32)
        planes.append(_codes(alpha * np.float32(full), full))
    return frame_of(planes, width, height, layout)


def _yuv_to_rgb(planes: list[np.ndarray], layout: Layout, colour: Colour, rgb: np.ndarray) -> None:
    """Fill `rgb[:3]`. What chroma adds to R, G and B is computed on its own small grid and brought up from there."""
    height, width = rgb.shape[1:]
    inverse = np.linalg.inv(matrix(colour.matrix))  # columns: what Y, Cb and Cr add to R, G, B
    y_scale, y_offset = _luma_code(colour.range, layout.bits)
    c_scale, c_offset = _chroma_code(colour.range, layout.bits)

    def fill(band: chroma.Band) -> None:
        near, wide, rows, _ = band
        both = np.stack([plane[near] for plane in planes[1:3]]).astype(np.float32)
        both -= c_offset
        small = _mix(inverse[:, 1:] / c_scale, both)
        y = planes[0][rows].astype(np.float32)
        y -= y_offset
        y *= np.float32(1 / y_scale)
        large = chroma.up(small, wide.stop - wide.start, width, cosited=cosited(colour.location))
        large = large[:, rows.start - wide.start : rows.stop - wide.start]
        large += y
        np.clip(large, 0, 1, out=rgb[:3, rows])

    chroma.each(fill, chroma.bands(height, width, len(planes[1])))


def _rgb_to_yuv(rgb: np.ndarray, layout: Layout, colour: Colour) -> list[np.ndarray]:
    """Code values of Y, Cb and Cr (Y alone for grey) of RGB `3 h w`, which is clamped to [0, 1]."""
    _, height, width = rgb.shape
    full = 2**layout.bits - 1
    size = (height, 1) if layout.grey else layout.chroma_size(height, width)
    forward = matrix(colour.matrix)
    y_scale, y_offset = _luma_code(colour.range, layout.bits)
    c_scale, c_offset = _chroma_code(colour.range, layout.bits)

    def codes(band: chroma.Band) -> list[np.ndarray]:
        _, wide, rows, own = band
        pixels = rgb[:, wide].clip(0, 1)
        luma = _mix(y_scale * forward[:1], pixels[:, rows.start - wide.start : rows.stop - wide.start])
        luma += y_offset
        made = [_codes(luma[0], full)]
        if not layout.grey:
            near = -(-(wide.stop - wide.start) // -(-height // size[0]))
            small = chroma.down(pixels, near, size[1], cosited=cosited(colour.location))[:, own]
            both = _mix(c_scale * forward[1:], small)
            both += c_offset
            made.extend(_codes(both, full))
        return made

    made = chroma.each(codes, chroma.bands(height, width, size[0]))
    return [np.concatenate(parts) for parts in zip(*made, strict=True)]


def _mix(weights: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Weighted sums of planes, `o i` by `i h w` to `o h w`. Not a matrix product, whose threads would compete with
    the decoder's and the network's."""
    return np.einsum("oi,ihw->ohw", weights.astype(planes.dtype), planes)


def cosited(location: int) -> tuple[bool, bool]:
    """Whether chroma falls on luma samples along (y, x). The rare bottom sitings are taken as centred in y."""
    return location in (3, 4), location in (1, 3, 5)


@cache
def matrix(code: int) -> np.ndarray:
    """The 3x3 matrix from RGB in [0, 1] to Y in [0, 1] and Cb, Cr in [-1/2, 1/2] (YCgCo: Y, Cg, Co)."""
    if code == _YCGCO:
        return np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0, -0.5]])
    kr, kb = _LUMA[code]
    luma = np.array([kr, 1 - kr - kb, kb])
    blue, red = np.array([0, 0, 1]), np.array([1, 0, 0])
    return np.stack([luma, (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)])


def _luma_code(range_: int, bits: int) -> tuple[np.float32, np.float32]:
    """(scale, offset): code = scale * Y + offset, H.273 equations 20 and 29."""
    step = 2 ** (bits - 8)
    return _pair(2**bits - 1, 0) if range_ == FULL else _pair(219 * step, 16 * step)


def _chroma_code(range_: int, bits: int) -> tuple[np.float32, np.float32]:
    step = 2 ** (bits - 8)
    return _pair(2**bits - 1, 2 ** (bits - 1)) if range_ == FULL else _pair(224 * step, 128 * step)


def _pair(scale: float, offset: float) -> tuple[np.float32, np.float32]:
    return np.float32(scale), np.float32(offset)


def _codes(plane: np.ndarray, full: int) -> np.ndarray:
    """Rounded to whole code values, uint8 or uint16. The plane itself is written over."""
    np.rint(plane, out=plane)
    np.clip(plane, 0, full, out=plane)
    return plane.astype(np.uint8 if full < 256 else np.uint16)
