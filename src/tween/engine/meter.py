"""Means of what the steps returned and the throughput, read from the device only on request."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from tween.core import TweenError

HOPELESS = 20  # steps on end, none of them finite, after which a run is not worth going on with


class Meter:
    """Keeps each step's scalars on the device until `read`."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Tensor]] = defaultdict(list)
        self.steps = self.skipped = 0
        self.samples = self.seconds = 0.0
        self.since = time.monotonic()

    @property
    def samples_per_s(self) -> float:
        """Over all that was read so far."""
        return self.samples / self.seconds if self.seconds else 0.0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in one step."""
        for name, value in values.items():
            self.kept[name].append(value)
        self.steps += 1

    def read(self, samples: int) -> dict[str, float]:
        """Mean of each term where finite, number of skipped turns, samples a second, all since the last call.

        Args:
            samples: in one step.

        Raises:
            TweenError: if none of many steps was finite.
        """
        values = {name: torch.stack([v.float() for v in kept]).tolist() for name, kept in self.kept.items()}
        out = {name: total(name, numbers) for name, numbers in values.items()}
        for name, numbers in values.items():
            if is_count(name) and len(numbers) >= HOPELESS and all(numbers):
                raise TweenError(
                    f"expected a finite loss, but none of the last {len(numbers)} steps had one; "
                    f"lower the learning rate or use precision fp32, then resume"
                )
        self.skipped += int(sum(number for name, number in out.items() if is_count(name)))
        now, done = time.monotonic(), samples * self.steps
        speed = done / max(now - self.since, 1e-9)
        self.samples, self.seconds = self.samples + done, self.seconds + now - self.since
        self.kept, self.steps, self.since = defaultdict(list), 0, now
        return out | {"samples_per_s": speed}

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
