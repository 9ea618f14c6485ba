"""Decoded pictures that stay what they were, planes of code values, until somebody wants RGB of them.

Planes take an eighth of the memory of RGB floats, and a GPU converts them more quickly than it is given floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import av
import cv2
import numpy as np
import torch
from torch import Tensor

from tween.core import Frame
from tween.video import arrays
from tween.video.colour import Colour
from tween.video.convert import decoded
from tween.video.planes import Layout, planes_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Planes:
    """A picture as it was stored.

    Attributes:
        planes: `h w` uint8 or uint16 in main memory: Y or G, B, R or Y, Cb, Cr, the latter maybe smaller; then alpha.
        layout: how many bits there are, and what of.
        colour: what to convert by, nothing in it unspecified.
    """

    planes: tuple[Tensor, ...]
    layout: Layout
    colour: Colour

    @staticmethod
    def of(frame: av.VideoFrame, colour: Colour, *, alpha: bool = True) -> Planes:
        """A decoded frame's planes, which are views of its own memory where possible; without alpha if not wanted."""
        layout, planes = planes_of(frame)
        kept = planes if alpha or not layout.alpha else planes[:-1]
        return Planes(
            planes=tuple(torch.from_numpy(plane) for plane in kept),
            layout=layout,
            colour=colour.assumed(layout, frame.height),
        )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width = self.planes[0].shape
        return height, width

    @cached_property
    def rgb(self) -> Tensor:
        """RGB `c h w` float32 in main memory, c = 4 where there is alpha."""
        return self._decoded("cpu")

    def on(self, device: Any) -> Tensor:
        """RGB `c h w` float32 on a device; if that is a GPU, it is converted there, each time anew."""
        return self._decoded(device) if arrays.by_torch(device) else self.rgb.to(device)

    def rows(self, parts: Sequence[slice] | None = None) -> np.ndarray:
        """These rows of `rgb`, one after another, without the others and without keeping them; see `chroma.bands`."""
        return decoded([plane.numpy() for plane in self.planes], self.layout, self.colour, parts)

    def small(self, height: int, width: int) -> np.ndarray:
        """RGB `3 height width` by area. Planes are made as small first, if all are large enough for that: where the
        samples of chroma lie hardly matters then."""
        if any(plane.shape[0] < 2 * height or plane.shape[1] < 2 * width for plane in self.planes):
            return _shrunk(self.rows()[:3], height, width)
        shrunk = _shrunk([plane.numpy() for plane in self.planes[:3]], height, width)
        return decoded(shrunk, self.layout, self.colour)

    def pinned(self) -> Planes:
        """The same in page-locked memory, from which a GPU takes it several times faster."""
        copies = (torch.empty(p.shape, dtype=p.dtype, pin_memory=True).copy_(p) for p in self.planes)
        return replace(self, planes=tuple(copies))

    def _decoded(self, device: Any) -> Tensor:
        if not arrays.by_torch(device):
            return torch.from_numpy(self.rows())
        there = [plane.to(device, non_blocking=True) for plane in self.planes]
        return decoded(there, self.layout, self.colour)


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A `Frame` in all but name: its RGB is made when it is asked for.

    Attributes:
        time, source: as of a `Frame`.
        planes: the picture.
    """

    time: Fraction
    planes: Planes
    source: bool = True

    @property
    def rgb(self) -> Tensor:
        """`c h w` float in [0, 1] in main memory."""
        return self.planes.rgb

    def on(self, device: Any) -> Tensor:
        """The same on a device."""
        return self.planes.on(device)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A frame as an encoder takes it.

    Attributes:
        time, source: as of a `Frame`.
        picture: an `av.VideoFrame`, or an image's code values.
    """

    time: Fraction
    source: bool
    picture: Any


def size(frame: Frame | Coded) -> tuple[int, int]:
    """Rows and columns of a frame, which stays as it is."""
    return frame.planes.size if isinstance(frame, Coded) else tuple(frame.rgb.shape[1:])


def equal(a: Frame | Coded, b: Frame | Coded) -> bool:
    """Whether two frames of one video are known to be the same in every pixel; False says nothing."""
    if isinstance(a, Coded) and isinstance(b, Coded):
        return all(torch.equal(one, two) for one, two in zip(a.planes.planes, b.planes.planes, strict=True))
    return a.rgb is b.rgb


def rows(frame: Frame | Coded, parts: Sequence[slice] | None = None) -> np.ndarray:
    """Rows `c r w` of a frame's RGB, all or some as for `Planes.rows`."""
    if isinstance(frame, Coded):
        return frame.planes.rows(parts)
    rgb = frame.rgb.numpy()
    return rgb if parts is None else np.concatenate([rgb[:, part] for part in parts], 1)


def small(frame: Frame | Coded, height: int, width: int) -> np.ndarray:
    """A frame's RGB `3 height width`, by area."""
    if isinstance(frame, Coded):
        return frame.planes.small(height, width)
    return _shrunk(frame.rgb[:3].numpy(), height, width)


def _shrunk(planes: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    made = [
        cv2.resize(arrays.floats([plane])[0], (width, height), interpolation=cv2.INTER_AREA)
        for plane in planes
    ]
    return np.stack(made)
