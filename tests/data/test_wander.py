"""What a player without a plan presses."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tween.data.wander import KINDS, STILL, WALKS, Hold, following

FREE = (900.0, 900.0, 900.0)


def walk(kind, frames, seed=0, view=FREE, blocked=False):
    rng, hold, holds = np.random.default_rng(seed), Hold(), []
    for _ in range(frames):
        hold = following(hold, kind, view=view, blocked=blocked, rng=rng)
        holds.append(hold)
    return holds


def runs(values):
    """Lengths of the runs of equal values, without the first and the last."""
    changes = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    return np.diff(changes)


@given(kind=st.sampled_from(tuple(KINDS)), seed=st.integers(0, 2**32))
def test_the_same_seed_presses_the_same(kind, seed):
    assert walk(kind, 50, seed) == walk(kind, 50, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_holds_last_as_long_as_their_kind_has_it(kind):
    holds = walk(kind, 20_000)
    least, most = KINDS[kind]
    assert min(runs([h.keys for h in holds])) >= least
    fresh = [b for a, b in itertools.pairwise(holds) if b.legs > a.legs]
    assert {h.legs for h in fresh} <= set(range(least, most + 1))
    assert len({h.legs for h in fresh}) > (most - least) / 2
    assert {h.keys for h in holds} == {STILL, *WALKS}


def test_held_changes_keys_and_mouse_together_and_keeps_one_or_the_other_still():
    holds = walk("held", 6000)
    assert all(h.legs == h.eyes for h in holds)
    assert any(h.keys == STILL and h.yaw for h in holds)
    assert any(h.keys == (1, 0, 0, 0) and not h.yaw for h in holds)
    assert any(h.keys == (1, 0, 0, 0) and h.yaw for h in holds)
    assert any(h.keys == STILL and not h.yaw for h in holds)


@given(pitch=st.floats(-20, 20), aim=st.floats(-24, 24), yaw=st.floats(-0.2, 0.2))
def test_the_eyes_go_to_their_aim_no_faster_than_an_arrow_key(pitch, aim, yaw):
    up, right = Hold(aim=aim, yaw=yaw).mouse(pitch)
    assert right == yaw
    assert abs(up) <= 0.1
    after = pitch + 40 * up
    assert after == pytest.approx(aim) or abs(aim - after) == pytest.approx(abs(aim - pitch) - 4)


@pytest.mark.parametrize(("view", "sign"), [((50.0, 0.0, 300.0), 1), ((300.0, 0.0, 50.0), -1)])
def test_before_a_wall_one_turns_to_the_open_side(view, sign):
    holds = [
        h for h in walk("mixed", 3000, view=view) if h.care == 0 and h.keys == STILL and h.legs == h.eyes
    ]
    assert len(holds) > 100
    assert {np.sign(h.yaw) for h in holds} == {sign}


def test_who_is_blocked_lets_go_and_turns_away():
    for hold in walk("random", 50, blocked=True):
        assert hold.keys == STILL
        assert abs(hold.yaw) == pytest.approx(0.1)
        assert 6 <= hold.legs == hold.eyes <= 18
