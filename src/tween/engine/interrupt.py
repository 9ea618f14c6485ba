"""Ctrl-C, `kill`, a closed terminal, a cluster that wants its machine back: training ends behind its step, saved."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
WORDS = b"\ntween: stops behind this step, saved; once more stops at once\n"


@contextmanager
def noted() -> Iterator[Callable[[], bool]]:
    """In the block the first of these signals is only noted, which the function given tells; a second one raises
    KeyboardInterrupt. What the caller handles or ignores itself (nohup does SIGHUP) stays as it is; so does everything
    in a thread that is not the main one."""
    came: list[int] = []
    owner = os.getpid()

    def note(number: int, frame: FrameType | None) -> None:
        if came or os.getpid() != owner:  # a forked process has this handler, too, and should end as ever
            raise KeyboardInterrupt
        came.append(number)
        os.write(2, WORDS)  # print could be what was interrupted

    before = {number: signal.getsignal(number) for number in _ours()}
    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ours() -> list[int]:
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    return [n for n in numbers if signal.getsignal(n) in (signal.SIG_DFL, signal.default_int_handler)]
