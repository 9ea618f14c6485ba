"""Means of what the steps returned and the throughput, read from the device only on request."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class Broken(NamedTuple):
    """The first of many steps on end that were not finite: how many steps ago, and which of its values."""

    ago: int
    names: list[str]


class Meter:
    """Keeps each step's scalars on the device until `read`.

    Args:
        patience: steps on end, none of them finite, after which `broken` tells of the first.
    """

    def __init__(self, patience: int = 20) -> None:
        self.kept: dict[str, list[tuple[int, Tensor]]] = defaultdict(list)  # step, value
        self.patience, self.streak = patience, 0
        self.broken: Broken | None = None
        self.steps = self.skipped = 0
        self.samples = self.seconds = 0.0
        self.since = time.monotonic()

    @property
    def samples_per_s(self) -> float:
        """Over all that was read so far."""
        return self.samples / self.seconds if self.seconds else 0.0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in one step; a turn that it did not take brings no values."""
        for name, value in values.items():
            self.kept[name].append((self.steps, value))
        self.steps += 1

    def read(self, samples: int) -> dict[str, float]:
        """Mean of each term where finite, number of skipped turns, samples a second, all since the last call.

        Args:
            samples: in one step.
        """
        values = {
            name: torch.stack([v.float() for _, v in kept]).tolist() for name, kept in self.kept.items()
        }
        out = {name: total(name, numbers) for name, numbers in values.items()}
        rows: list[dict[str, float]] = [{} for _ in range(self.steps)]
        for name, kept in self.kept.items():
            for (step, _), number in zip(kept, values[name], strict=True):
                rows[step][name] = number
        self._watch(rows)
        self.skipped += int(sum(number for name, number in out.items() if is_count(name)))
        now, done = time.monotonic(), samples * self.steps
        speed = done / max(now - self.since, 1e-9)
        self.samples, self.seconds = self.samples + done, self.seconds + now - self.since
        self.kept, self.steps, self.since = defaultdict(list), 0, now
        return out | {"samples_per_s": speed}

    def _watch(self, rows: list[dict[str, float]]) -> None:
        for i, row in enumerate(rows):
            skipped = any(number for name, number in row.items() if is_count(name))
            self.streak = self.streak + 1 if skipped else 0
            if self.streak == 1:
                self._names = [name for name, number in row.items() if not math.isfinite(number)]
            if self.streak >= self.patience and self.broken is None:
                self.broken = Broken(len(rows) - i + self.patience - 1, self._names)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent in the block is no training time."""
        start = time.monotonic()
        yield
        self.since += time.monotonic() - start


def is_count(name: str) -> bool:
    """Whether `name` is summed rather than averaged."""
    return name.rpartition("/")[2] == "skipped"


def total(name: str, numbers: list[float]) -> float:
    """Sum of a count, mean of the finite values of anything else (0 if there are none)."""
    finite = [number for number in numbers if math.isfinite(number)]
    return sum(finite) if is_count(name) else sum(finite) / max(1, len(finite))
