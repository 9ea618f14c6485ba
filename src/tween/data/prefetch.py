"""Batches made by other processes before they are asked for, and on the device before a step needs them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing import get_context
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tween.core import TweenError

T = TypeVar("T")
Tensors = tuple[Tensor, ...]


class Prefetch(Generic[T]):
    """A function of a batch's index that has the next batches ready; asked for any other index it begins anew there.

    Args:
        make: index -> tensors on the CPU, a pure function that can be pickled; runs in the workers.
        land: those tensors on the device -> the batch.
        workers: processes, no more of them than there are cores; 0 makes each batch when it is asked for.
        device: tensors go there from pinned memory, beside what the device computes.
        stride: indices are asked for in steps of it: the number of processes that train together.
        ahead: batches that each worker has ready.
        last: tells what a worker that died was at.
    """

    def __init__(
        self,
        make: Callable[[int], Tensors],
        land: Callable[..., T],
        *,
        workers: int,
        device: torch.device,
        stride: int = 1,
        ahead: int = 2,
        last: Callable[[], str] = str,
    ) -> None:
        self._make, self._land, self._device, self._stride = _Told(make), land, device, stride
        self._workers, self._ahead, self._last = min(workers, cores()), ahead, last
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._next: int | None = None

    def __call__(self, index: int) -> T:
        """Batch `index`.

        Raises:
            TweenError: what `make` had to say, or that a worker died.
        """
        if index != self._next:
            self._made = self._begin(index)
        made, self._next = self._take(), index + self._stride
        if isinstance(made, TweenError):
            self._next = None
            raise made
        return self._land(*self._sent(made))

    def _take(self) -> Tensors | TweenError:
        try:
            return next(self._made)
        except (RuntimeError, EOFError, OSError) as error:
            if not self._workers or "Caught" in str(error):  # raised by `make`
                raise
            at = self._last()
            return TweenError(
                f"processes that make batches should live on, but one died{at and f' while it read {at}'}; "
                f"take fewer workers if memory ran out, else look through the set with tween data check"
            )

    def _begin(self, index: int) -> Iterator[Tensors | TweenError]:
        if not self._workers:
            return map(self._make.__getitem__, count(index, self._stride))
        processes = get_context("forkserver")  # a fork beside torch's own threads could hang
        processes.set_forkserver_preload([__name__])  # one process imports torch, the workers are its copies
        return iter(
            DataLoader(
                self._make,
                batch_size=None,
                sampler=count(index, self._stride),
                num_workers=self._workers,
                prefetch_factor=self._ahead,
                pin_memory=self._stream is not None,
                multiprocessing_context=processes,
                generator=torch.Generator(),  # the global one is the training loop's
                worker_init_fn=_undisturbed,
            )
        )

    def _sent(self, made: Tensors) -> Tensors:
        """On the device, copied while it still computes the step before."""
        if self._stream is None:
            return made
        now = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._stream):
            sent = tuple(tensor.to(self._device, non_blocking=True) for tensor in made)
        now.wait_stream(self._stream)
        for tensor in sent:
            tensor.record_stream(now)
        return sent


def cores() -> int:
    """Those that this process may run on: more workers would only take memory, and torch warns of them."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _undisturbed(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal: a worker leaves it to the training, which ends its step first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Told(Dataset[Any]):
    """Mistakes come back as values: raised in a worker, they would arrive with its whole traceback."""

    def __init__(self, make: Callable[[int], Tensors]) -> None:
        self.make = make

    def __getitem__(self, index: int) -> Tensors | TweenError:
        try:
            return self.make(index)
        except TweenError as error:
            return error
