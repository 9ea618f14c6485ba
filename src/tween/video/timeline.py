"""The time engine: which two source frames surround every output tick, and how far between them it lies.

All times are exact `Fraction` seconds, so nothing drifts, whatever the rates and however long the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from tween.core import TweenError


@dataclass(frozen=True, slots=True)
class Tick:
    """One output frame: `index` k, at `time` = start + k / fps, between source frames `left` and `right`.

    `t` in [0, 1) is where it lies between them. `t == 0` (then `left == right`) says that the source frame
    passes untouched: its time falls on the tick, or it is the last frame, held until the end.
    """

    index: int
    time: Fraction
    left: int
    right: int
    t: Fraction


def ticks(
    times: Iterable[Fraction], fps: Fraction, *, end: Fraction | Callable[[], Fraction]
) -> Iterator[Tick]:
    """The output ticks of a source, lazily: at most one source time beyond the current tick is consumed.

    Args:
        times: when each source frame is shown, in seconds, strictly increasing; any rate, any start.
        fps: ticks a second. The first tick is the first source time, tick k lies exactly k / fps later.
        end: when the last source frame stops being shown: a time, or a function called once `times` is exhausted
            (a decoder knows it only then). Ticks run while their time is before it.

    Raises:
        TweenError: if `fps` is not positive or `times` do not increase.
    """
    if fps <= 0:
        raise TweenError(f"the output rate should be above 0 frames a second, but got {fps}")
    source = _increasing(times)
    start = left_time = next(source, None)
    if start is None:
        return
    left, k = 0, 0
    for right_time in source:
        while (time := start + k / fps) < right_time:
            t = (time - left_time) / (right_time - left_time)
            yield Tick(k, time, left, left + 1 if t else left, t)
            k += 1
        left, left_time = left + 1, right_time
    stop = end() if callable(end) else end
    while (time := start + k / fps) < stop:
        yield Tick(k, time, left, left, Fraction(0))
        k += 1


def stretch(times: Iterable[Fraction], factor: Fraction) -> Iterator[Fraction]:
    """Source times for slow motion: `factor` times as far from the first one, which stays where it is.

    Raises:
        TweenError: if `factor` is not positive.
    """
    if factor <= 0:
        raise TweenError(f"the slow-motion factor should be above 0, but got {factor}")
    start = None
    for time in times:
        start = time if start is None else start
        yield start + (time - start) * factor


def _increasing(times: Iterable[Fraction]) -> Iterator[Fraction]:
    last = None
    for index, time in enumerate(times):
        if last is not None and time <= last:
            raise TweenError(
                f"source times should increase, but frame {index} at {float(time):.6f} s follows one at "
                f"{float(last):.6f} s; sort the frames and drop the duplicates"
            )
        last = time
        yield time
