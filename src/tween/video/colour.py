"""Colour tags of a stream, and the numbers that they stand for. Code points are those of ITU-T H.273."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from tween.video.planes import Layout

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


def luma_code(range_: int, bits: int) -> tuple[float, float]:
    """(scale, offset): code = scale * Y + offset, H.273 equations 20 and 29."""
    step = 2 ** (bits - 8)
    return (2**bits - 1, 0) if range_ == FULL else (219 * step, 16 * step)


def chroma_code(range_: int, bits: int) -> tuple[float, float]:
    """The same for Cb and Cr."""
    step = 2 ** (bits - 8)
    return (2**bits - 1, 2 ** (bits - 1)) if range_ == FULL else (224 * step, 128 * step)
