"""When frames go out: each when it is due, never in a burst, and never more than two that should have gone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")
UNSENT = 2  # frames that may be due and not sent; older ones are dropped
FLYING = 8  # frames that may be sent and not seen: else a slow line would hide them in its buffers
SMOOTH = 0.3  # share of the newest time in the mean
SPARE = (
    1.25  # times its usual time that a block is begun before it is due: the later, the newer what it hears
)


class Pace(Generic[T]):
    """Spreads blocks of frames over time.

    Args:
        interval: seconds between frames at the world's own rate; a world that takes longer to make a block has its
            frames spread over the time it takes.
        clock: seconds.
    """

    def __init__(self, interval: float, clock: Callable[[], float] = monotonic) -> None:
        self.interval, self.clock = interval, clock
        self.dropped = 0
        self.taken: float | None = None  # seconds a block takes, smoothed
        self._waiting: deque[tuple[float, T]] = deque()
        self._end = -1.0
        self._flying: deque[int] = deque()
        self._held: float | None = None  # since when nothing is to go out

    def add(self, frames: Iterable[T], took: float) -> None:
        """A block that took `took` seconds to make: its frames follow those there are."""
        frames = list(frames)
        self.taken = took if self.taken is None else self.taken + SMOOTH * (took - self.taken)
        step = max(self.interval, self.taken / len(frames))
        due = max(self._end, self.clock())
        self._waiting.extend((due + i * step, frame) for i, frame in enumerate(frames))
        self._end = due + len(frames) * step

    def clear(self) -> None:
        """Forget what has not gone out."""
        self._waiting.clear()
        self._flying.clear()
        self._end = -1.0

    def hold(self, on: bool) -> None:
        """Stand still, or go on with what is left: it is due later by as long."""
        if on and self._held is None:
            self._held = self.clock()
        elif not on and self._held is not None:
            late, self._held = self.clock() - self._held, None
            self._waiting = deque((due + late, frame) for due, frame in self._waiting)
            self._end += late

    def next(self) -> T | None:
        """The frame to send now, if one is due and the page keeps up."""
        if self._held is not None:
            return None
        now = self.clock()
        late = sum(due <= now for due, _ in self._waiting)
        for _ in range(late - UNSENT):
            self._waiting.popleft()
            self.dropped += 1
        if late and len(self._flying) < FLYING:
            return self._waiting.popleft()[1]
        return None

    def sent(self, number: int) -> None:
        """Frame `number` is on its way."""
        self._flying.append(number)

    def seen(self, number: int) -> None:
        """The page has frame `number`, and those before it or never."""
        while self._flying and self._flying[0] <= number:
            self._flying.popleft()

    @property
    def wait(self) -> float:
        """Seconds until a frame can be sent; infinity if that takes another block, a page that has seen some, or the
        end of a pause."""
        if self._held is not None or not self._waiting:
            return float("inf")
        left = self._waiting[0][0] - self.clock()
        return left if left > 0 else float("inf") if len(self._flying) >= FLYING else 0.0

    @property
    def ahead(self) -> float:
        """Seconds until the next block has to be begun; infinity while the page sees nothing of what was sent."""
        if len(self._flying) >= FLYING and self._waiting:
            return float("inf")
        spare = SPARE * (self.taken or 0.0) + self.interval / 2
        return max(0.0, self._end - self.clock() - spare)
