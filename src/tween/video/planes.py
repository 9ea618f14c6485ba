"""Decoded pictures as numpy planes, one a component, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import av
import numpy as np

# Formats whose components share a plane, and the planar one that holds the same numbers.
_PLANAR = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "p216le": "yuv422p16le",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "rgb0": "gbrp",
    "bgr0": "gbrp",
    "0rgb": "gbrp",
    "0bgr": "gbrp",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "rgb48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "bgr48le": "gbrp16le",
    "rgba64le": "gbrap16le",
    "rgba64be": "gbrap16le",
    "bgra64le": "gbrap16le",
    "pal8": "gbrap",
    "gray16be": "gray16le",
    "monow": "gray",
    "monob": "gray",
    "ya8": "yuva444p",
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a pixel format stores a picture. `planar` is the format with the same numbers, a plane a component;
    `steps` is how many luma rows and columns share one chroma sample."""

    name: str
    planar: str
    bits: int
    rgb: bool
    grey: bool
    alpha: bool
    jpeg: bool
    steps: tuple[int, int]

    @staticmethod
    @cache
    def of(pix_fmt: str) -> Layout:
        """The layout of an FFmpeg pixel format. Formats that no planar one matches go through 16-bit 4:4:4."""
        planar = _planar(pix_fmt)
        parts = av.VideoFormat(planar, 16, 16).components
        chroma = parts[1] if len(parts) > 1 else parts[0]
        return Layout(
            name=pix_fmt,
            planar=planar,
            bits=parts[0].bits,
            rgb=planar.startswith("gbr"),
            grey=len(parts) == 1,
            alpha=any(part.is_alpha for part in parts),
            jpeg=planar.startswith("yuvj"),
            steps=(16 // chroma.height, 16 // chroma.width),
        )

    def chroma_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of a chroma plane beside luma of `height` x `width`."""
        chroma = av.VideoFormat(self.planar, width, height).components[1]
        return chroma.height, chroma.width


def planes_of(frame: av.VideoFrame) -> tuple[Layout, list[np.ndarray]]:
    """The layout of a frame and its planes as `h w` arrays, views of the frame's own memory where possible."""
    layout = Layout.of(frame.format.name)
    if frame.format.name != layout.planar:
        frame = frame.reformat(format=layout.planar)
    sizes = [(part.height, part.width) for part in frame.format.components]
    return layout, [_view(plane, *size, layout.bits) for plane, size in zip(frame.planes, sizes, strict=True)]


def frame_of(planes: list[np.ndarray], width: int, height: int, layout: Layout) -> av.VideoFrame:
    """A frame of format `layout.name` that holds `planes`."""
    frame = av.VideoFrame(width, height, layout.planar)
    for target, plane in zip(frame.planes, planes, strict=True):
        _view(target, *plane.shape, layout.bits)[...] = plane
    return frame if layout.name == layout.planar else frame.reformat(format=layout.name)


def _planar(pix_fmt: str) -> str:
    if pix_fmt in _PLANAR:
        return _PLANAR[pix_fmt]
    form = av.VideoFormat(pix_fmt, 16, 16)
    parts = form.components
    own_plane = sorted(part.plane for part in parts) == list(range(len(parts)))
    whole = all(8 <= part.bits <= 16 for part in parts) and "f16" not in pix_fmt and not form.is_bayer
    if own_plane and whole and not form.is_big_endian and not pix_fmt.endswith("msble"):
        return pix_fmt
    alpha = "a" if any(part.is_alpha for part in parts) else ""
    return f"gbr{alpha}p16le" if form.is_rgb else f"yuv{alpha}444p16le"


def _view(plane: av.video.plane.VideoPlane, height: int, width: int, bits: int) -> np.ndarray:
    dtype = np.uint8 if bits <= 8 else np.uint16
    rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return rows[:height, :width]
