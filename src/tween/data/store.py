"""Every training frame in one buffer on the device, and bilinear crops gathered from it without a loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tween.video.bulk import halve


@dataclass(frozen=True, kw_only=True)
class FrameStore:
    """Frames of any size, each stored at full and at half size (so that a small zoom does not alias).

    Attributes:
        pixels: flat int32, red + 256 green + 65536 blue: one load a pixel.
        offset: `2 n` int64, where frame n begins, at full and half size.
        size: `2 n 2` int64, (h, w).
    """

    pixels: Tensor
    offset: Tensor
    size: Tensor

    @staticmethod
    def build(clips: Sequence[np.ndarray], device: torch.device) -> FrameStore:
        """From arrays `n h w 3` uint8, in order (memory maps will do)."""
        shapes = [(len(c), [c.shape[1:3], (c.shape[1] // 2, c.shape[2] // 2)]) for c in clips]
        total = sum(n * h * w for n, sizes in shapes for h, w in sizes)
        pixels = torch.empty(total, dtype=torch.int32, device=device)
        offsets, sizes, end = [], [], 0
        for clip, (n, levels) in zip(clips, shapes, strict=True):
            begin = []
            for array, (h, w) in zip((clip, halve(clip)), levels, strict=True):
                pixels[end : end + n * h * w] = _word(torch.from_numpy(np.array(array)).to(device))
                begin.append(end + torch.arange(n) * (h * w))
                end += n * h * w
            offsets.append(torch.stack(begin))
            sizes.append(torch.tensor(levels)[:, None].expand(2, n, 2))
        return FrameStore(
            pixels=pixels, offset=torch.cat(offsets, 1).to(device), size=torch.cat(sizes, 1).to(device)
        )


def _word(rgb: Tensor) -> Tensor:
    red, green, blue = (rgb[..., i].flatten().int() for i in range(3))
    return red | green << 8 | blue << 16


def sample(store: FrameStore, frame: Tensor, position: Tensor, zoom: Tensor) -> Tensor:
    """Bilinear samples, the picture mirrored beyond its border.

    Args:
        frame: `...` int64, which frame.
        position: `... h w 2`, (x, y) in pixels of the full-size frame.
        zoom: `...`, output pixels per full-size pixel; below 0.7 the half-size copy is read.

    Returns:
        `... 3 h w` float in [0, 1].
    """
    level = (zoom < 0.7).long()
    offset = store.offset[level, frame][..., None, None]
    height, width = store.size[level, frame][..., None, None].unbind(-3)
    shrink_y, shrink_x = (store.size[level, frame] / store.size[0, frame])[..., None, None].unbind(-3)
    x = _mirror((position[..., 0] + 0.5) * shrink_x - 0.5, width)
    y = _mirror((position[..., 1] + 0.5) * shrink_y - 0.5, height)
    x0, y0 = x.floor(), y.floor()
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    x0, y0 = x0.long(), y0.long()
    x1, y1 = torch.minimum(x0 + 1, width - 1), torch.minimum(y0 + 1, height - 1)
    shift = torch.tensor((0, 8, 16), dtype=torch.int32, device=frame.device)

    def tap(ty: Tensor, tx: Tensor) -> Tensor:
        word = store.pixels[offset + ty * width + tx]
        return (word[..., None] >> shift & 255).float()

    top = tap(y0, x0) * (1 - fx) + tap(y0, x1) * fx
    bottom = tap(y1, x0) * (1 - fx) + tap(y1, x1) * fx
    return ((top * (1 - fy) + bottom * fy) / 255).movedim(-1, -3)


def _mirror(x: Tensor, size: Tensor) -> Tensor:
    last = (size - 1).float().clamp_min(1)
    return (last - (last - x % (2 * last)).abs()).clamp(min=torch.zeros_like(last), max=(size - 1).float())
