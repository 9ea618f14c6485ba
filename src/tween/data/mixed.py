"""Batches from several training sets, each batch from one of them: sets differ in the size of their frames.

Batch i is a function of i alone: which set (by share, in turn), which of its samples (each once an epoch, shuffled),
which crop size. So a run goes on at any index, processes that train together each take theirs, and workers that live
through the whole run cut every crop as large as its batch has it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from tween.core import TweenError
from tween.data.clips import Triples
from tween.data.prefetch import Prefetch
from tween.data.shuffled import as_triples, stack
from tween.data.source import Source

Order = Callable[[Source, int, int], np.ndarray]


@lru_cache(8)
def _permutation(n: int, epoch: int, seed: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n)


def anyhow(source: Source, epoch: int, seed: int) -> np.ndarray:
    """The samples of an epoch, each once, in any order."""
    return _permutation(len(source), epoch, seed)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the sets that are mixed.

    Attributes:
        share: batches of it in a row, before those of the next part.
        size: index of a batch -> (h, w) of its crops; can be pickled.
        order: (source, epoch, seed) -> its samples, each once.
    """

    source: Source
    share: int
    size: Callable[[int], tuple[int, int]]
    order: Order = anyhow


def batches(
    parts: Sequence[Part],
    *,
    batch_size: int,
    workers: int,
    seed: int,
    device: torch.device,
    stride: int = 1,
) -> Callable[[int], Triples]:
    """Batches by index, for `engine.Run.batch`: a pure function, made ahead by `workers` processes.

    A part's flow, where it is known, is that from the frame at t; `between` is zero.

    Args:
        stride: the number of processes that train together, each of which asks for every so many'th batch.

    Raises:
        TweenError: if there is nothing to mix or a first crop does not fit; later, on a file that cannot be read.
    """
    if workers < 0:
        raise TweenError(f"num_workers should be 0 or more, but got {workers}")
    parts = [part for part in parts if part.share > 0]
    if not parts or not all(len(part.source) for part in parts):
        raise TweenError("a mix of training sets needs a share above 0 and samples in each, but one has none")
    for part in parts:
        part.source.draw(0, part.size(0), torch.Generator().manual_seed(0))
    trail = Trail.over(workers)
    make = partial(stacked, parts, trail, batch_size=batch_size, seed=seed)
    return Prefetch(
        make, as_triples, workers=workers, device=device, stride=stride, last=partial(trail.dead, parts)
    )


def stacked(
    parts: Sequence[Part], trail: Trail, index: int, *, batch_size: int, seed: int
) -> tuple[Tensor, ...]:
    """Batch `index` on the CPU, as `tween.data.shuffled.stack` makes it."""
    which, number = turn(parts, index)
    part, samples = parts[which], []
    for i, sample in enumerate(places(part, number, batch_size, seed)):
        trail.mark(which, sample)
        state = np.random.SeedSequence((seed, index, i)).generate_state(1)
        samples.append(
            part.source.draw(sample, part.size(index), torch.Generator().manual_seed(int(state[0])))
        )
    return stack(samples)


def turn(parts: Sequence[Part], index: int) -> tuple[int, int]:
    """Which part batch `index` is of, and the how-manieth of that part it is."""
    rounds, place = divmod(index, sum(part.share for part in parts))
    for which, part in enumerate(parts):
        if place < part.share:
            return which, rounds * part.share + place
        place -= part.share
    raise AssertionError


def places(part: Part, number: int, batch_size: int, seed: int) -> list[int]:
    """Which samples the `number`th batch of a part holds. A batch may end one epoch and begin the next."""
    found = (divmod(i, len(part.source)) for i in range(number * batch_size, (number + 1) * batch_size))
    return [int(part.order(part.source, epoch, seed)[place]) for epoch, place in found]


@dataclass(frozen=True)
class Trail:
    """What each worker reads, so that one that dies can be told from.

    Attributes:
        at: `workers 3` in shared memory: its process, the part, the sample.
    """

    at: Tensor

    @staticmethod
    def over(workers: int) -> Trail:
        """Of so many workers, none of which has begun."""
        return Trail(torch.full((workers, 3), -1).share_memory_())

    def mark(self, part: int, sample: int) -> None:
        """This process, if it is a worker, begins to read."""
        if worker := get_worker_info():
            self.at[worker.id] = torch.tensor((os.getpid(), part, sample))

    def dead(self, parts: Sequence[Part]) -> str:
        """What a worker that lives no more read last; empty where there is none, or it had not begun."""
        for _ in range(20):  # a moment passes until the system has forgotten it
            for process, part, sample in self.at.tolist():
                if process > 0 and not _lives(process):
                    return parts[part].source.name(sample)
            time.sleep(0.1)
        return ""


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
