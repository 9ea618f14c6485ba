"""Real samples of each class, dealt without replacement.

A queue that is pushed to and drawn from is a state, to be saved and shared. What it holds is known beforehand, though:
each class's samples pass by in an endless shuffled order, and at a step the queue is a window on it. So a batch is a
function of its number, and a resumed run sees what an unbroken one would.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Queues:
    """A queue for each class, and one of all samples.

    Attributes:
        members: numbers of the samples of each class; a class may be empty.
        size: samples that a class's queue holds (the paper's 128), all of the class where it has fewer.
        size_all: samples that the common queue holds (1000).
        push: samples that enter and leave a queue in a step (64).
    """

    members: tuple[np.ndarray, ...]
    size: int = 128
    size_all: int = 1000
    push: int = 64
    seed: int = 0

    @property
    def filled(self) -> list[int]:
        """Classes that have a sample."""
        return [label for label, members in enumerate(self.members) if len(members)]

    def held(self, label: int, step: int) -> np.ndarray:
        """Samples in the queue of a class at a step, none twice."""
        return self._window(self.members[label], f"{self.seed}/{label}", self.size, step)

    def anything(self, step: int) -> np.ndarray:
        """Samples in the common queue."""
        everything = np.concatenate(self.members)
        return self._window(everything, f"{self.seed}/all", self.size_all, step)

    def _window(self, members: np.ndarray, key: str, size: int, step: int) -> np.ndarray:
        n = len(members)
        size, begin = min(size, n), step * self.push % (n << 20)
        found: list[int] = []
        for epoch in range(begin // n, (begin + size - 1) // n + 1):
            found += shuffled(f"{key}/{epoch}", n)[
                max(begin - epoch * n, 0) : begin + size - epoch * n
            ].tolist()
        return members[np.unique(found)]


@lru_cache(4096)
def shuffled(key: str, n: int) -> np.ndarray:
    """0 to n - 1 in an order of `key`'s own."""
    return np.random.default_rng(random.Random(key).getrandbits(63)).permutation(n)


def of_labels(labels: Sequence[int] | Tensor | np.ndarray, classes: int, **settings: int) -> Queues:
    """Queues of samples whose classes are `labels`."""
    labels = np.asarray(labels)
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(1, classes))
    return Queues(members=tuple(np.split(order, ends)), **settings)


@dataclass(frozen=True, kw_only=True)
class Deal:
    """Samples by number, padded with any where a class has fewer; weights are 1, or 0 for padding.

    Attributes:
        labels: `c`, classes, none twice.
        targets: `c g`, what is corrupted and refined.
        positives: `c p`, others of the class.
        anything: `u`, of any class.
        target_weights, positive_weights: `c g`, `c p`.
    """

    labels: Tensor
    targets: Tensor
    positives: Tensor
    anything: Tensor
    target_weights: Tensor
    positive_weights: Tensor


def deal(queues: Queues, step: int, *, classes: int, targets: int, positives: int, anything: int) -> Deal:
    """One step's samples, balanced over classes.

    A target is never among the positives of its class, which would show its answer; but of a class with one sample it
    is, for want of another. Small classes are shared out: half targets, the rest positives.
    """
    rng = np.random.default_rng(random.Random(f"{queues.seed}/deal/{step}").getrandbits(63))
    filled = queues.filled
    labels = rng.choice(filled, min(classes, len(filled)), replace=False)
    rows = [_shared(rng.permutation(queues.held(label, step)), targets, positives) for label in labels]
    pool = queues.anything(step)
    free = rng.choice(pool, min(anything, len(pool)), replace=False) if anything else pool[:0]
    mine, weights = _padded([row[0] for row in rows], targets)
    others, other_weights = _padded([row[1] for row in rows], positives)
    return Deal(
        labels=torch.as_tensor(labels),
        targets=mine,
        positives=others,
        anything=torch.as_tensor(free),
        target_weights=weights,
        positive_weights=other_weights,
    )


def _shared(held: np.ndarray, targets: int, positives: int) -> tuple[np.ndarray, np.ndarray]:
    count = min(targets, max(1, len(held) - positives, len(held) // 2))
    rest = held[count:] if len(held) > count else held
    return held[:count], rest[:positives]


def _padded(rows: list[np.ndarray], width: int) -> tuple[Tensor, Tensor]:
    numbers = np.stack([np.resize(row, width) for row in rows])
    weights = np.stack([np.arange(width) < len(row) for row in rows])
    return torch.as_tensor(numbers), torch.as_tensor(weights, dtype=torch.float32)
