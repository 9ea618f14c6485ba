"""The time engine: exact, monotone, complete, lazy."""

from fractions import Fraction
from itertools import accumulate, count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.core import TweenError
from tween.video.timeline import stretch, ticks

FILM, NTSC60 = Fraction(24000, 1001), Fraction(60000, 1001)
gaps = st.lists(st.fractions(Fraction(1, 2000), 2, max_denominator=2000), min_size=1, max_size=25)
starts = st.fractions(-100, 100, max_denominator=90000)
rates = st.one_of(
    st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60), NTSC60]),
    st.fractions(Fraction(1, 2), 240, max_denominator=1001),
)


@st.composite
def clips(draw):
    """Source times of any rate and start, and the exact end of the last frame."""
    *times, end = accumulate(draw(gaps), initial=draw(starts))
    return times, end


@given(clips(), rates)
@settings(max_examples=150, deadline=None)
def test_ticks_are_exact_complete_and_inside_their_pair(clip, fps):
    times, end = clip
    found = list(ticks(times, fps, end=end))
    assert [tick.time for tick in found] == [times[0] + k / fps for k in range(len(found))]
    assert [tick.index for tick in found] == list(range(len(found)))
    assert found[-1].time < end <= found[-1].time + 1 / fps
    for tick in found:
        assert 0 <= tick.t < 1
        assert times[tick.left] <= tick.time
        if tick.t:
            assert tick.right == tick.left + 1
            assert tick.time == times[tick.left] + tick.t * (times[tick.right] - times[tick.left])
        else:
            assert tick.right == tick.left
            assert tick.time == times[tick.left] or tick.left == len(times) - 1
    assert [tick.left for tick in found] == sorted(tick.left for tick in found)


@given(clips(), rates)
@settings(max_examples=50, deadline=None)
def test_every_source_frame_that_falls_on_a_tick_passes_untouched(clip, fps):
    times, end = clip
    on_grid = [i for i, time in enumerate(times) if ((time - times[0]) * fps).denominator == 1]
    passed = [
        tick.left for tick in ticks(times, fps, end=end) if tick.t == 0 and tick.time == times[tick.left]
    ]
    assert passed == on_grid


@given(clips(), rates, st.fractions(Fraction(1, 8), 8, max_denominator=16))
@settings(max_examples=50, deadline=None)
def test_slow_motion_keeps_the_start_and_every_proportion(clip, fps, factor):
    times, end = clip
    *slow, slow_end = stretch([*times, end], factor)
    assert slow[0] == times[0]
    assert slow_end - slow[0] == factor * (end - times[0])
    same = [(t.left, t.t) for t in ticks(times, fps, end=end)]
    assert [(t.left, t.t) for t in ticks(slow, fps / factor, end=slow_end)] == same


@pytest.mark.parametrize("fps", [Fraction(60), NTSC60])
def test_no_drift_over_two_hours(fps):
    n = int(7200 * FILM)
    start = Fraction(8333, 1000)
    end = start + n / FILM
    untouched = 0
    for tick in ticks((start + i / FILM for i in range(n)), fps, end=end):
        untouched += tick.t == 0 and tick.left < n - 1
        if tick.index % 997 == 0 or tick.index > 431_000:
            place = tick.index * FILM / fps
            assert tick.time == start + tick.index / fps
            assert tick.left == place // 1
            assert tick.t == (place % 1 if tick.left < n - 1 else 0)
    assert tick.time < end <= tick.time + 1 / fps
    assert untouched == -(-(n - 1) // (FILM / fps).numerator)


def test_film_to_ntsc60_has_the_two_three_pattern():
    found = list(ticks((i / FILM for i in range(4)), NTSC60, end=4 / FILM))
    assert [(tick.left, tick.t) for tick in found][:6] == [
        (0, 0),
        (0, Fraction(2, 5)),
        (0, Fraction(4, 5)),
        (1, Fraction(1, 5)),
        (1, Fraction(3, 5)),
        (2, 0),
    ]


def test_the_source_is_consumed_lazily():
    seen = []
    source = (seen.append(i) or Fraction(i, 24) for i in count())
    first = list(islice(ticks(source, Fraction(60), end=Fraction(0)), 4))
    assert first[-1].left == 1
    assert seen == [0, 1, 2]


def test_the_end_may_be_known_only_at_the_end():
    known = []

    def times():
        yield from (Fraction(0), Fraction(1, 10))
        known.append(Fraction(3, 10))

    found = list(ticks(times(), Fraction(20), end=lambda: known[0]))
    assert [(tick.left, tick.t) for tick in found] == [
        (0, 0),
        (0, Fraction(1, 2)),
        (1, 0),
        (1, 0),
        (1, 0),
        (1, 0),
    ]


def test_no_frames_no_ticks_and_one_frame_is_held():
    assert list(ticks([], Fraction(60), end=Fraction(1))) == []
    assert [tick.t for tick in ticks([Fraction(5)], Fraction(30), end=Fraction(51, 10))] == [0, 0, 0]


def test_impossible_times_are_refused():
    with pytest.raises(TweenError, match="above 0"):
        list(ticks([Fraction(0)], Fraction(0), end=Fraction(1)))
    with pytest.raises(TweenError, match="frame 2"):
        list(ticks([Fraction(0), Fraction(1), Fraction(1)], Fraction(60), end=Fraction(2)))
    with pytest.raises(TweenError, match="above 0"):
        list(stretch([Fraction(0)], Fraction(-1)))
