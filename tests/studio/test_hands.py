"""What a page holds down: chords, taps, the mouse, and nothing stale."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.infer.worlds import world
from tween.models.stream.actions import TEMPLERUN
from tween.studio.hands import FASTEST, STALE, SWEEP, Hands


class Clock:
    """A server's clock, and a page's that is 1,000 s behind and ticks in milliseconds."""

    now = 1000.0

    def __call__(self):
        return self.now

    @property
    def page(self):
        return (self.now - 1000) * 1000


def hands(mode=None):
    clock = Clock()
    return Hands(world(mode=mode) if mode else world(), clock), clock


def held(hand):
    actions, _ = hand.take()
    return [name for name, on in zip(hand.world.mode.keys, actions.keys[0, 0].tolist(), strict=True) if on]


def test_chords():
    hand, clock = hands()
    hand.hear("WDL", (0, 0), clock.page)
    actions, since = hand.take()
    assert actions.keys[0, 0].tolist() == [1, 0, 0, 1]
    assert actions.mouse[0, 0].tolist() == [0, pytest.approx(0.1)]
    assert since == 0


def test_held_keys_stay_held_and_tell_only_once_since_when():
    hand, clock = hands()
    hand.hear("W", (0, 0), clock.page)
    assert hand.take()[1] == 0
    for _ in range(10):
        clock.now += 0.25
        hand.hear("W", (0, 0), clock.page)
        actions, since = hand.take()
        assert actions.keys[0, 0, 0] == 1
        assert since is None


def test_a_tap_between_two_blocks_counts_once():
    hand, clock = hands()
    hand.hear("A", (0, 0), 5.0)
    clock.now += 0.05
    hand.hear("", (0, 0), 60.0)
    actions, since = hand.take()
    assert actions.keys[0, 0].tolist() == [0, 0, 1, 0]
    assert since == 5.0
    assert held(hand) == []


def test_there_is_no_queue():
    hand, clock = hands()
    for i in range(200):
        clock.now += 0.01
        hand.hear("WASD"[i % 4], (0, 0), clock.page)
    assert held(hand) == ["right"]
    clock.now += 0.1
    hand.hear("", (0, 0), clock.page)
    assert held(hand) == []


@pytest.mark.parametrize(
    ("heard", "names"),
    [
        (["W", "WA", "W"], ["forward", "left"]),
        (["W", "WA", "W", "WD"], ["forward", "right"]),
        (["W", "", "S"], ["back"]),
        (["W", "WD", "D", ""], ["forward", "right"]),
        (["W", "W", "", "A", ""], ["left"]),
    ],
)
def test_a_key_takes_the_place_of_those_let_go_before_it(heard, names):
    hand, clock = hands()
    for keys in heard:
        clock.now += 0.05
        hand.hear(keys, (0, 0), clock.page)
    assert held(hand) == names


def test_a_key_that_was_held_and_is_let_go_does_not_count_again():
    hand, clock = hands()
    hand.hear("L", (0, 0), clock.page)
    hand.take()
    hand.hear("L", (0, 0), clock.page + 1)
    hand.hear("J", (0, 0), clock.page + 2)
    assert hand.take()[0].mouse[0, 0, 1] == pytest.approx(-0.1)


def test_keys_of_a_silent_page_are_let_go():
    hand, clock = hands()
    hand.hear("W", (0, 0), clock.page)
    hand.take()
    clock.now += STALE - 0.01
    assert held(hand) == ["forward"]
    clock.now += 0.02
    assert held(hand) == []


def test_what_was_overtaken_or_is_late_is_dropped():
    hand, clock = hands()
    clock.now += 1
    hand.hear("W", (0, 0), 1000.0)
    hand.hear("S", (900, 0), 999.0)
    assert held(hand) == ["forward"]
    clock.now += 3
    hand.hear("A", (900, 0), 2500.0)  # 1.5 s on its way
    assert held(hand) == []
    hand.hear("D", (0, 0), 3500.0)
    assert held(hand) == ["right"]


def test_what_was_done_while_the_world_stood_still_is_not_heard():
    hand, clock = hands()
    hand.hear("WA", (500, 0), clock.page)
    hand.drop()
    actions, since = hand.take()
    assert not actions.keys.any()
    assert not actions.mouse.any()
    assert since is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-400, 400), st.floats(-400, 400)), max_size=8))
def test_the_way_of_the_mouse_is_added_up_and_bounded(ways):
    hand, clock = hands()
    for i, way in enumerate(ways):
        hand.hear("", way, clock.page + i + 1)
    actions, _ = hand.take()
    right, down = (sum(x) for x in zip(*ways, strict=True)) if ways else (0.0, 0.0)
    bounded = [max(-FASTEST, min(FASTEST, x / SWEEP)) * 0.1 for x in (-down, right)]
    torch.testing.assert_close(actions.mouse[0, 0], torch.tensor(bounded))
    assert not hand.take()[0].mouse.any()


def test_a_world_without_a_mouse_and_letters_it_does_not_know():
    hand, clock = hands(TEMPLERUN)
    hand.hear("zL?é", (300, 300), clock.page)
    actions, _ = hand.take()
    assert actions.keys[0, 0].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert not actions.mouse.any()
