"""Stages of a pipeline at work at the same time: a thread each, joined by bounded queues."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")
TURN = 0.05  # seconds between looks at whether to stop


@dataclass
class Meter:
    """What a stage did: items made, seconds it took to make them, seconds its consumer waited for them."""

    count: int = 0
    busy: float = 0.0
    waited: float = 0.0


@dataclass(frozen=True)
class _Failed:
    error: BaseException


_END = object()


@contextmanager
def ahead(items: Iterable[T], depth: int, meter: Meter | None = None) -> Iterator[Iterator[T]]:
    """`items`, made in a thread of their own, at most `depth` of them in advance.

    An error among them is raised where they are consumed. When the block is left, for whatever reason, the thread
    is stopped after the item it is at, the generator is closed there, and the thread is joined.
    """
    meter = meter or Meter()
    queue: Queue[Any] = Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_make, args=(items, queue, stop, meter), daemon=True)
    thread.start()
    try:
        yield _take(queue, meter)
    finally:
        stop.set()
        thread.join()


def _make(items: Iterable[Any], queue: Queue[Any], stop: threading.Event, meter: Meter) -> None:
    stream = iter(items)
    last: Any = _END
    try:
        while not stop.is_set():
            begun = perf_counter()
            item = next(stream, _END)
            meter.busy += perf_counter() - begun
            if item is _END:
                break
            meter.count += 1
            _put(queue, item, stop)
        if hasattr(stream, "close"):
            stream.close()
    except BaseException as error:  # carried to the consumer, whatever it is
        last = _Failed(error)
    _put(queue, last, stop)


def _put(queue: Queue[Any], item: Any, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            return queue.put(item, timeout=TURN)
        except Full:
            continue


def _take(queue: Queue[T], meter: Meter) -> Iterator[T]:
    while True:
        begun = perf_counter()
        while True:  # in turns, so that Ctrl-C is heard while waiting
            try:
                item = queue.get(timeout=TURN)
                break
            except Empty:
                continue
        meter.waited += perf_counter() - begun
        if item is _END:
            return
        if isinstance(item, _Failed):
            raise item.error
        yield item
