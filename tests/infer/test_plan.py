"""Gaps: every tick once, the right neighbours, nothing filled across a cut, looking ahead only as far as needed."""

import weakref
from fractions import Fraction
from operator import attrgetter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.infer.fakes import clip
from tween.core import Frame, TweenError
from tween.infer.plan import MOST, Marked, gaps, mark
from tween.video.scenes import FLASH, WINDOW


def plan(marked, fps, end, **options):
    return list(gaps(marked, Fraction(fps), end=lambda: Fraction(end), **options))


def marks(frames, cuts=(), same=()):
    return [Marked(frame=f, cut=i in cuts, same=i in same) for i, f in enumerate(frames)]


def test_every_tick_once_with_its_neighbours():
    frames = clip([Fraction(i, 24) for i in range(5)])
    found = plan(marks(frames), 60, Fraction(5, 24))
    ticks = [tick for gap in found for tick in gap.ticks]
    assert [tick.time for tick in ticks] == [Fraction(k, 60) for k in range(13)]
    for gap in found[:-1]:
        assert gap.known == (gap.left, gap.right)
        assert gap.how == "fill"
        assert all(gap.left.time <= tick.time < gap.right.time for tick in gap.ticks)
    assert found[-1].known == ()
    assert found[-1].left is found[-1].right is frames[-1]


@pytest.mark.parametrize(("scene", "how"), [("hold", "hold"), ("blend", "blend"), ("off", "fill")])
def test_what_is_done_at_a_cut(scene, how):
    found = plan(marks(clip(range(4)), cuts={2}), 2, 4, scene=scene)
    assert [gap.how for gap in found] == ["fill", how, "fill", "copy"]


def test_identical_pairs_are_copied():
    assert [g.how for g in plan(marks(clip(range(3)), same={1}), 2, 3)] == ["copy", "fill", "copy"]


@given(
    st.lists(
        st.fractions(min_value=Fraction(1, 50), max_value=1, max_denominator=60), min_size=1, max_size=12
    )
)
@settings(max_examples=40, deadline=None)
def test_variable_rate_and_start(steps):
    times = [Fraction(7, 3) + sum(steps[:i], Fraction(0)) for i in range(len(steps) + 1)]
    found = plan(marks(clip(times, size=(4, 4))), 24, times[-1] + Fraction(1, 24))
    ticks = [tick.time for gap in found for tick in gap.ticks]
    assert ticks == [times[0] + Fraction(k, 24) for k in range(len(ticks))]
    assert all(gap.left.time <= tick.time for gap in found for tick in gap.ticks)
    assert all(tick.time < gap.right.time for gap in found if gap.known for tick in gap.ticks)


def test_more_past_and_future_never_reach_over_a_cut():
    frames = clip(range(6))
    found = plan(marks(frames, cuts={3}), 2, 6, past=2, future=2)
    index = {id(frame): i for i, frame in enumerate(frames)}
    windows = [[index[id(frame)] for frame in gap.known] for gap in found]
    assert windows == [[0, 0, 1, 2], [0, 1, 2, 2], [1, 2, 3, 4], [3, 3, 4, 5], [3, 4, 5, 5], []]
    assert found[2].how == "hold"


def test_no_more_is_read_ahead_than_needed():
    taken = 0

    def source():
        nonlocal taken
        for item in marks(clip(range(40))):
            taken += 1
            yield item

    for number, _ in enumerate(gaps(source(), Fraction(2), end=lambda: Fraction(40))):
        assert taken <= number + 3


def test_a_long_gap_comes_in_parts():
    frames = clip([0, 100, 101])
    found = plan(marks(frames), 10, 102)
    assert max(len(gap.ticks) for gap in found) == MOST
    assert [tick.index for gap in found for tick in gap.ticks] == list(range(1020))
    assert all(gap.known == (frames[0], frames[1]) for gap in found if gap.ticks[0].time < 100)


def test_marks_come_from_the_detectors():
    frames = clip(range(4))
    frames.insert(2, type(frames[1])(time=Fraction(3, 2), rgb=frames[1].rgb))
    assert [m.same for m in mark(frames)] == [False, False, True, False, False]
    with pytest.raises(TweenError, match="hold, blend, off"):
        list(mark(frames, scene="guess"))


@pytest.mark.parametrize("scene", ["hold", "off"])
def test_frames_that_have_passed_are_let_go(scene):
    """At 4K one frame of a queue's is 100 MB, as floats."""
    alive = []

    def source():
        for i in range(80):
            frame = Frame(time=Fraction(i), rgb=torch.rand(3, 20, 30))
            alive.append(weakref.ref(frame))
            yield frame

    most = max(
        sum(ref() is not None for ref in alive) for _ in map(attrgetter("same"), mark(source(), scene=scene))
    )
    assert most <= FLASH + 2 * WINDOW + 4
