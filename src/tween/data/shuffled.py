"""What batches are made of: the order of an epoch over shards, and samples put together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tween.data.clips import Triples
from tween.data.shards import Shards
from tween.data.source import Sample

TOGETHER = 8  # shards whose samples are shuffled together: reading stays local, neighbours come apart


@lru_cache(4)
def order(shards: Shards, epoch: int, seed: int) -> np.ndarray:
    """The samples of an epoch, each once: some shards at a time, their samples shuffled together. For
    `tween.data.mixed.Part`."""
    rng = np.random.default_rng((seed, epoch))
    group = rng.permutation(len(shards.paths))[shards.shard] // TOGETHER
    return np.lexsort((rng.random(len(shards)), group))


def stack(samples: Sequence[Sample]) -> tuple[Tensor, ...]:
    """Samples of one size as a batch that is small to send: frames `b 3 3 h w` uint8, t `b`, flow `b 4 h w` float16
    (empty where none is known), known `b`."""
    known = torch.tensor([float(s.flow is not None) for s in samples])
    shape = len(samples), 4, *samples[0].frames.shape[-2:]
    flow = torch.zeros(shape, dtype=torch.float16) if known.any() else torch.zeros(0)
    for i, s in enumerate(samples):
        if s.flow is not None:
            flow[i] = s.flow
    frames = torch.stack([s.frames for s in samples])
    return frames, torch.tensor([s.t for s in samples], dtype=torch.float32), flow, known


def as_triples(frames: Tensor, t: Tensor, flow: Tensor, known: Tensor) -> Triples:
    """What `stack` made, wherever it is now, as a batch."""
    b, *_, h, w = frames.shape
    nothing = torch.zeros(b, 4, h, w, device=frames.device)
    return Triples(
        frames=frames.float() / 255,
        t=t,
        flow=flow.float() if flow.numel() else nothing,
        between=nothing,
        known=known,
    )
