"""Batches from shards: every sample once an epoch, dealt out over processes and workers without loss or overlap.

Batch i holds the same samples whoever asks for it. Of n processes the one of rank r takes batches r, r + n ..., and
deals them to its workers in turn; so who reads what is arithmetic, and a run goes on at any index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from tween.data.clips import Triples
from tween.data.prefetch import Prefetch
from tween.data.shards import Shards
from tween.data.source import Sample

TOGETHER = 8  # shards whose samples are shuffled together: reading stays local, neighbours come apart


@lru_cache(2)
def _order(shards: int, counts: bytes, epoch: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng((seed, epoch))
    shard = np.repeat(np.arange(shards), np.frombuffer(counts, np.int64))
    group = rng.permutation(shards)[shard] // TOGETHER
    return np.lexsort((rng.random(len(shard)), group))


def order(shards: Shards, epoch: int, seed: int) -> np.ndarray:
    """The samples of an epoch, each once: some shards at a time, their samples shuffled together."""
    counts = np.bincount(shards.shard, minlength=len(shards.paths)).astype(np.int64)
    return _order(len(shards.paths), counts.tobytes(), epoch, seed)


def places(shards: Shards, index: int, batch_size: int, seed: int) -> list[int]:
    """Which samples batch `index` holds. Epoch follows epoch without a gap: a batch may end one and begin the next."""
    epoch, place = np.divmod(np.arange(index * batch_size, (index + 1) * batch_size), len(shards))
    orders = {e: order(shards, e, seed) for e in set(epoch.tolist())}
    return [int(orders[e][i]) for e, i in zip(epoch.tolist(), place.tolist(), strict=True)]


def batches(
    shards: Shards,
    *,
    batch_size: int,
    size: Callable[[int], tuple[int, int]],
    seed: int,
    device: torch.device,
    workers: int = 8,
    stride: int = 1,
) -> Callable[[int], Triples]:
    """Batches by index, for `engine.Run.batch`: a pure function, made ahead by `workers` processes.

    Args:
        size: index -> (h, w) of that batch's crops; can be pickled.
        stride: the number of processes that train together, each of which asks for every so many'th batch.

    Raises:
        TweenError: if the samples are smaller than the crops, here for the first batch, else when it is made.
    """
    shards.draw(0, size(0), torch.Generator())
    make = partial(stacked, shards, batch_size=batch_size, size=size, seed=seed)
    return Prefetch(make, as_triples, workers=workers, device=device, stride=stride)


def stacked(
    shards: Shards, index: int, *, batch_size: int, size: Callable[[int], tuple[int, int]], seed: int
) -> tuple[Tensor, ...]:
    """Batch `index` on the CPU, as `stack` makes it."""
    samples = []
    for i, place in enumerate(places(shards, index, batch_size, seed)):
        g = torch.Generator().manual_seed(int(np.random.SeedSequence((seed, index, i)).generate_state(1)[0]))
        samples.append(shards.draw(place, size(index), g))
    return stack(samples)


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
