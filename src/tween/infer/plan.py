"""Which frames are needed where: the gaps between source frames, the output ticks in each, and what to do there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Literal, get_args

from tween.core import Frame, TweenError
from tween.video import duplicates, scenes
from tween.video.timeline import Tick, ticks

MOST = 8  # ticks filled at once: more would take much memory and save little
Scene = Literal["hold", "blend", "off"]
How = Literal["fill", "copy", "hold", "blend"]


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A source frame; `cut`: a scene starts with it; `same`: nothing visible changed since the frame before."""

    frame: Frame
    cut: bool = False
    same: bool = False


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The ticks from one source frame up to the next, and the frames a filler is to see for them.

    Attributes:
        known: `past` frames up to the left one, then `future` frames from the right one; empty at the end of the
            clip. At the ends of a scene the outermost frame is repeated.
        ticks: in order of time; those with `t == 0` show the left frame.
        left, right: the source frames on both sides; after the last frame `right` is `left`.
        how: what to do with the other ticks.
    """

    known: tuple[Frame, ...]
    ticks: tuple[Tick, ...]
    left: Frame
    right: Frame
    how: How


def mark(frames: Iterable[Frame], *, scene: Scene = "hold") -> Iterator[Marked]:
    """Frames with what the detectors say; cuts are not looked for where `scene` is `off`.

    Frames are held back as `scenes.cuts` says, and not at all for `off`.
    """
    if scene not in get_args(Scene):
        raise TweenError(f"scene should be one of {', '.join(get_args(Scene))}, but got {scene!r}")
    same: deque[bool] = deque()  # of frames held back; `itertools.tee` would keep up to 57 that have passed

    def watched() -> Iterator[Frame]:
        for frame, change in duplicates.mark(frames):
            same.append(change is not None and change.identical)
            yield frame

    found = scenes.cuts(watched()) if scene != "off" else ((frame, False) for frame in watched())
    for frame, cut in found:
        yield Marked(frame=frame, cut=cut, same=same.popleft())


def gaps(
    marked: Iterable[Marked],
    fps: Fraction,
    *,
    end: Callable[[], Fraction],
    scene: Scene = "hold",
    past: int = 1,
    future: int = 1,
    most: int | None = None,
) -> Iterator[Gap]:
    """The gaps of a stream of frames in order; those without a tick are left out, those with many come in parts.

    Args:
        marked: source frames in order of time.
        fps, end: as for `timeline.ticks`.
        scene: what to do across a cut: `hold` the last frame, `blend` both, or `off`, fill as everywhere.
        past, future: how many frames a filler sees on each side; no more than `future + 1` are read ahead.
        most: ticks in one gap (8 where None); a filler that makes whole clips says how many it can.
    """
    stream = iter(marked)
    store: dict[int, Marked] = {}
    read = 0

    def get(index: int) -> Marked | None:
        nonlocal read
        while read <= index and (item := next(stream, None)) is not None:
            store[read] = item
            read += 1
        return store.get(index)

    def times() -> Iterator[Fraction]:
        index = 0
        while (item := get(index)) is not None:
            yield item.frame.time
            index += 1

    for left, group in groupby(ticks(times(), fps, end=end), key=lambda tick: tick.left):
        found = list(group)
        right = get(left + 1)
        known = _known(get, left, past, future) if right else ()
        a = store[left].frame
        b = right.frame if right else a
        step = most or MOST
        for i in range(0, len(found), step):
            yield Gap(known=known, ticks=tuple(found[i : i + step]), left=a, right=b, how=_how(right, scene))
        for index in [i for i in store if i <= left - past]:
            del store[index]


def _how(right: Marked | None, scene: Scene) -> How:
    if right is None or right.same:
        return "copy"
    return scene if right.cut and scene != "off" else "fill"


def _known(get: Callable[[int], Marked | None], left: int, past: int, future: int) -> tuple[Frame, ...]:
    first, last = left, left + 1
    while first > left + 1 - past and not get(first).cut and get(first - 1):
        first -= 1
    while last < left + future and (item := get(last + 1)) and not item.cut:
        last += 1
    indices = range(left + 1 - past, left + 1 + future)
    return tuple(get(min(max(index, first), last)).frame for index in indices)
