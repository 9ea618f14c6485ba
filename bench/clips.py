"""Frames of a real file to measure on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch
from torch import Tensor


def real(path: Path, size: tuple[int, int], *, count: int) -> Tensor:
    """The first `count` frames of a video, scaled to `size` (h, w): `t 3 h w` in [0, 1]."""
    import av  # here: a machine that only times networks need not have it

    h, w = size
    with av.open(str(path)) as container:
        frames = islice(container.decode(video=0), count)
        arrays = [f.reformat(width=w, height=h, format="rgb24").to_ndarray() for f in frames]
    return torch.stack([torch.from_numpy(a).permute(2, 0, 1).float() / 255 for a in arrays])
