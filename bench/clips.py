"""Frames to measure on: a real file, or a generated pattern in motion where none is given."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor


def real(path: Path, size: tuple[int, int], *, count: int) -> Tensor:
    """The first `count` frames of a video, scaled to `size` (h, w): `t 3 h w` in [0, 1]."""
    import av  # here: a machine that only times networks need not have it

    h, w = size
    with av.open(str(path)) as container:
        frames = islice(container.decode(video=0), count)
        arrays = [f.reformat(width=w, height=h, format="rgb24").to_ndarray() for f in frames]
    return torch.stack([torch.from_numpy(a).permute(2, 0, 1).float() / 255 for a in arrays])


def moving(size: tuple[int, int], *, count: int, seed: int = 0) -> Tensor:
    """A texture with detail at several scales that moves by (9, 3) pixels a frame: `t 3 h w` in [0, 1]."""
    h, w = size
    generator = torch.Generator().manual_seed(seed)
    big_h, big_w = h + 3 * count, w + 9 * count
    canvas = torch.zeros(1, 3, big_h, big_w)
    for cell, share in ((64, 0.4), (16, 0.3), (4, 0.2), (1, 0.1)):
        noise = torch.rand(1, 3, big_h // cell + 2, big_w // cell + 2, generator=generator)
        canvas += share * F.interpolate(noise, size=(big_h, big_w), mode="bilinear", align_corners=False)
    return torch.stack([canvas[0, :, 3 * k : 3 * k + h, 9 * k : 9 * k + w] for k in range(count)])
