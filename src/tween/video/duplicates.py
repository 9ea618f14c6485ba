"""Frames that only repeat the one before: drawings held on twos and threes, capture stutter, pulled-down film.

Two levels. *Identical*: not a single block differs visibly, so the picture between the two is the picture itself.
*Duplicate*: what differs looks like noise; such frames are placeholders, and `retime` removes them, so that the
time engine spreads the motion evenly over the gaps they leave.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from tween.core import Frame
from tween.video import coded

BLOCK = 8  # pixels; a mouth that moves fills a block long before it moves the mean of a frame
STRIPS = 8 * BLOCK
LUMA = (0.299, 0.587, 0.114)
VISIBLE = 1 / 255  # mean change of a block that may show
NOISE = 6 / 255  # standard deviation of the difference of two frames of a noisy source, at most
HELD = 6  # frames; a longer run is a hold that somebody meant, and stays one


@dataclass(frozen=True)
class Change:
    """How two frames differ, on the scale [0, 1].

    Attributes:
        block: the largest mean absolute change of a block in any channel.
        moved: the largest change of a block's mean luma.
        noise: the standard deviation of the luma's change, robustly estimated.
    """

    block: float
    moved: float
    noise: float

    @property
    def identical(self) -> bool:
        """Nothing visible changed anywhere."""
        return self.block < VISIBLE

    @property
    def duplicate(self) -> bool:
        """What changed is noise: no block's mean moved more than noise of that strength moves it.

        The mean of n = `BLOCK`^2 independent differences of deviation s has deviation s / `BLOCK`; the largest of
        the up to 130,000 blocks of a frame stays within 5.5 of them.
        """
        return self.noise < NOISE and self.moved < VISIBLE + 5.5 * self.noise / BLOCK


class Look:
    """A frame's pixels `c h w`, made as far as somebody looks."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    @cached_property
    def strips(self) -> np.ndarray | None:
        """An eighth of the picture, from top to bottom; None of a low one."""
        height = coded.size(self.frame)[0] // STRIPS * STRIPS
        parts = [slice(row, row + BLOCK) for row in range(0, height, STRIPS)]
        return coded.rows(self.frame, parts) if parts else None

    @cached_property
    def whole(self) -> np.ndarray:
        """All of it."""
        return coded.rows(self.frame)


def change(a: Look, b: Look) -> Change:
    """How frame `b` differs from `a`, both of one size and RGB, or RGB and alpha.

    The noise is taken from the change's horizontal differences, which a fade leaves alone: 1.4826 times the median of
    their absolute values is the standard deviation of Gaussian ones, and that is sqrt(2) times the noise's.
    """
    if coded.equal(a.frame, b.frame):
        return Change(block=0.0, moved=0.0, noise=0.0)
    if a.strips is not None:  # most frames move everywhere: an eighth of the picture tells
        found = _change(a.strips, b.strips)
        if not found.identical and not found.duplicate:
            return found
    return _change(a.whole, b.whole)


def _change(a: np.ndarray, b: np.ndarray) -> Change:
    differences = [cv2.subtract(after, before) for before, after in zip(a, b, strict=True)]
    moved = sum(weight * _means(d) for weight, d in zip(LUMA, differences, strict=False))
    green = differences[1][::2]
    grain = np.abs(green[:, 1:] - green[:, :-1]) if green.shape[1] > 1 else np.abs(green)
    return Change(
        block=float(max(_means(np.abs(d)).max() for d in differences)),
        moved=float(np.abs(moved).max()),
        noise=1.4826 * float(np.median(grain)) / 2**0.5,
    )


def _means(plane: np.ndarray) -> np.ndarray:
    """Means of blocks of `BLOCK` pixels a side, a little less where the plane does not divide by it."""
    h, w = plane.shape
    size = -(-w // BLOCK), -(-h // BLOCK)
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


def mark(frames: Iterable[Frame]) -> Iterator[tuple[Frame, Change | None]]:
    """Each frame with how it differs from the first frame of its run (None for the first frame of all).

    A run is compared with its first frame, so that a slow fade is not a run of duplicates.
    """
    first: Look | None = None
    for frame in frames:
        look = Look(frame)
        found = change(first, look) if first else None
        yield frame, found
        if found is None or not found.duplicate:
            first = look


def retime(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames without those that repeat the one before, up to `HELD` a run, so that motion fills the gap.

    A longer run is a hold: its first and last frame stay. So do the last frame of all and every time.
    At most one frame is held back.
    """
    run = 0
    pending: Frame | None = None
    for frame, found in mark(frames):
        if found is not None and found.duplicate:
            run, pending = run + 1, frame
            continue
        if pending is not None and run >= HELD:
            yield pending
        run, pending = 0, None
        yield frame
    if pending is not None:
        yield pending


def runs(repeats: Iterable[bool]) -> Iterator[int]:
    """Lengths of the runs of equal frames, given for each frame whether it repeats the one before."""
    length = 0
    for repeat in repeats:
        if not repeat and length:
            yield length
            length = 0
        length += 1
    if length:
        yield length


def pattern(lengths: Sequence[int]) -> str:
    """A word for the runs: `none`, `mostly 2s` (3s, 4s), `1 in 5` (pulled-down film), `stutter` or `still`.

    The last run is left out, since the clip may end before the run does, and so are holds over `HELD` frames.
    """
    moving = [length for length in lengths[:-1] if length <= HELD]
    repeated = sum(length - 1 for length in moving)
    if len(lengths) == 1 and lengths[0] > 1:
        return "still"
    if not moving or repeated < 0.02 * sum(moving):
        return "none"
    length, times = Counter(moving).most_common(1)[0]
    if length > 1 and times > 0.5 * len(moving):
        return f"mostly {length}s"
    every = _period(moving)
    return f"1 in {every}" if every else "stutter"


def _period(lengths: Sequence[int]) -> int | None:
    """Frames from one single repeat to the next, where they come regularly (telecine with whole frames: 5)."""
    ends = []
    total = 0
    for length in lengths:
        total += length
        if length == 2:
            ends.append(total)
    gaps = Counter(b - a for a, b in itertools.pairwise(ends))
    if not gaps:
        return None
    gap, times = gaps.most_common(1)[0]
    return gap if times > 0.7 * sum(gaps.values()) and len(gaps) and times >= 3 else None
