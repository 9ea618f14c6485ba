"""Frames go out when they are due, whatever comes in bursts; what is late is dropped."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tween.studio.pace import FLYING, UNSENT, Pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def pace(interval=0.05):
    clock = Clock()
    return Pace(interval, clock), clock


def run(line, clock, until, tick=0.001, see=True):
    """(time, frame) of what goes out."""
    out = []
    while clock.now < until:
        while (frame := line.next()) is not None:
            out.append((clock.now, frame))
            line.sent(len(out))
            if see:
                line.seen(len(out))
        clock.now += tick
    return out


def gaps(out):
    return [b[0] - a[0] for a, b in pairwise(out)]


def test_a_block_that_came_at_once_goes_out_at_the_rate():
    line, clock = pace()
    line.add(range(12), took=0.1)
    out = run(line, clock, 1)
    assert [frame for _, frame in out] == list(range(12))
    assert gaps(out) == [pytest.approx(0.05, abs=0.0015)] * 11
    assert line.dropped == 0


def test_blocks_made_in_time_follow_each_other_without_a_gap():
    line, clock, out, number = *pace(), [], 0
    for _ in range(6):
        while line.ahead > 0:
            out += run(line, clock, clock.now + 0.001)
        out += run(line, clock, clock.now + 0.2)  # the block is being made
        line.add(range(number, number + 12), took=0.2)
        number += 12
    out += run(line, clock, clock.now + 1)
    assert [frame for _, frame in out] == list(range(number))
    assert max(gaps(out)) < 0.052
    assert line.dropped == 0


def test_a_block_is_begun_no_earlier_than_it_has_to():
    line, clock = pace()
    line.add(range(12), took=0.2)
    assert line.ahead == pytest.approx(0.6 - 0.25 - 0.025)
    clock.now = 0.4
    assert line.ahead == 0


def test_a_world_that_is_slow_is_slow_evenly():
    line, clock, out = *pace(), []
    for i in range(6):
        line.add(range(12 * i, 12 * i + 12), took=2.4)
        assert line.ahead == 0
        out += run(line, clock, clock.now + 2.4)
    assert [frame for _, frame in out] == list(range(72))
    assert gaps(out) == [pytest.approx(0.2, abs=0.0015)] * 71


@given(st.integers(1, 60), st.sampled_from([0, 0.5, 0.99]), st.integers(1, 40))
def test_at_most_two_frames_are_late(away, part, frames):
    line, clock = pace(1 / 16)
    line.add(range(frames), took=0.0)
    clock.now = (away + part) / 16
    late = min(frames, away + 1)
    sent = []
    while (frame := line.next()) is not None:
        sent.append(frame)
        line.sent(len(sent))
        line.seen(len(sent))
    assert len(sent) == min(late, UNSENT)
    assert sent == list(range(max(0, late - UNSENT), late))
    assert line.dropped == max(0, late - UNSENT)


def test_a_page_that_sees_nothing_is_sent_nothing_more_and_nothing_is_made_for_it():
    line, clock = pace()
    line.add(range(12), took=0.1)
    out = run(line, clock, 5, see=False)
    assert len(out) == FLYING
    assert line.dropped == 12 - FLYING - UNSENT
    assert line.ahead == float("inf")
    assert line.wait == float("inf")
    line.seen(FLYING - 1)
    assert line.wait == 0
    assert line.next() == 10
    assert line.ahead == 0


def test_a_pause_holds_what_is_left_and_it_goes_on_as_before():
    line, clock = pace()
    line.add(range(12), took=0.1)
    out = run(line, clock, 0.22)
    line.hold(True)
    line.hold(True)
    assert line.wait == float("inf")
    assert run(line, clock, 30) == []
    line.hold(False)
    line.hold(False)
    out += run(line, clock, 31)
    assert [frame for _, frame in out] == list(range(12))
    assert line.dropped == 0
    assert sorted(gaps(out))[-2] < 0.052


def test_nothing_is_left_after_clear():
    line, clock = pace()
    line.add(range(12), took=0.1)
    run(line, clock, 0.3, see=False)
    line.clear()
    assert line.next() is None
    assert (line.wait, line.ahead) == (float("inf"), 0)
    line.add(["new"], took=0.1)
    assert line.next() == "new"
