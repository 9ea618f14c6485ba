"""Colour tags of a stream and the one conversion path between its planes and RGB."""

from __future__ import annotations

from dataclasses import dataclass

import av
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Colour tags as the numbers of ITU-T H.273; 2 (or 0 for range and location) says that the stream is silent.

    Attributes:
        range: 0 unspecified, 1 limited (16-235 at 8 bits), 2 full.
        matrix, primaries, transfer: H.273 code points.
        location: chroma siting: 0 unspecified, 1 left, 2 centre, 3 top left, 4 top, 5 bottom left, 6 bottom.
    """

    range: int = 0
    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    location: int = 0


def to_rgb(frame: av.VideoFrame, colour: Colour) -> Tensor:
    """RGB `c h w` float32 in [0, 1] of a decoded frame."""
    return torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1).float() / 255


def from_rgb(rgb: Tensor, pix_fmt: str, colour: Colour) -> av.VideoFrame:
    """A frame of format `pix_fmt` from RGB `c h w` in [0, 1]."""
    pixels = (rgb[:3].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
