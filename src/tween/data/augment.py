"""What may happen to a sample without changing what is true of it: frames, t and flow stay consistent."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.source import Sample


def crop(sample: Sample, size: tuple[int, int], g: torch.Generator) -> Sample:
    """A crop of `size` (h, w) at any place.

    Raises:
        TweenError: if the sample is smaller.
    """
    h, w = sample.frames.shape[-2:]
    if h < size[0] or w < size[1]:
        raise TweenError(
            f"a crop of {size[0]}x{size[1]} needs frames as large, but they have {h}x{w}; take smaller crops"
        )
    y, x = below(h - size[0] + 1, g), below(w - size[1] + 1, g)
    kept = (..., slice(y, y + size[0]), slice(x, x + size[1]))
    return sample._replace(
        frames=sample.frames[kept], flow=None if sample.flow is None else sample.flow[kept]
    )


def augment(sample: Sample, g: torch.Generator) -> Sample:
    """Mirrored, turned by a multiple of 90 degrees (180 unless square), reversed in time, red for blue: each one of two
    or of four times (EMA-VFI, CVPR 2023)."""
    mirror, back, swap, turns = below(2, g), below(2, g), below(2, g), below(4, g)
    h, w = sample.frames.shape[-2:]
    sample = turned(mirrored(sample) if mirror else sample, turns if h == w else turns // 2 * 2)
    sample = reverse(sample) if back else sample
    return sample._replace(frames=sample.frames.flip(1)) if swap else sample


def mirrored(sample: Sample) -> Sample:
    """Left for right."""
    flow = None if sample.flow is None else sample.flow.flip(-1) * _signs(sample.flow, -1, 1)
    return sample._replace(frames=sample.frames.flip(-1), flow=flow)


def turned(sample: Sample, turns: int) -> Sample:
    """Counter-clockwise by `turns` times 90 degrees."""
    frames, flow = torch.rot90(sample.frames, turns, (-2, -1)), sample.flow
    for _ in range(turns if flow is not None else 0):
        flow = torch.rot90(flow[[1, 0, 3, 2]], 1, (-2, -1)) * _signs(flow, 1, -1)
    return sample._replace(frames=frames, flow=flow)


def reverse(sample: Sample) -> Sample:
    """Time runs backwards: t becomes 1 - t."""
    flow = None if sample.flow is None else sample.flow[[2, 3, 0, 1]]
    return Sample(sample.frames.flip(0), 1 - sample.t, flow)


def below(n: int, g: torch.Generator) -> int:
    """A draw from 0 to n - 1."""
    return int(torch.randint(n, (), generator=g))


def _signs(flow: Tensor, x: int, y: int) -> Tensor:
    return torch.tensor((x, y, x, y), dtype=flow.dtype).view(4, 1, 1)
