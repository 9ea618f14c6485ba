"""The judges, judged in a room of which every picture is exact."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.room import episode, picture
from tween.core import TweenError
from tween.evaluate.world import (
    ORDERS,
    Thresholds,
    calibrate,
    contact_sheet,
    decibels,
    foresight,
    measure,
    measured,
    obeys,
    orders,
    recognise,
    spread,
    turned,
)

BEFORE, AFTER = 3, 8


@pytest.fixture(scope="module")
def room():
    return episode(["left", "walk", "stand", "right", "stand", "walk", "left", "right", "walk", "stand"])


@pytest.fixture(scope="module")
def real(room):
    places = orders(room, before=BEFORE, after=AFTER)
    return {order: measured(None, room, p, before=BEFORE, after=AFTER) for order, p in places.items()}


def frames_of(*pictures):
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)[None] / 255


def test_orders_are_windows_that_follow_from_one_order(room):
    found = orders(room, before=BEFORE, after=AFTER)
    assert {order: len(places) for order, places in found.items()} == dict.fromkeys(("left", "right"), 2) | {
        "walk": 3,
        "stand": 3,
    }
    for order, places in found.items():
        for _, first in places:
            steps = slice(first + BEFORE - 1, first + BEFORE + AFTER - 1)
            assert (room.keys[0, steps, 0] == (order == "walk")).all()
            assert (np.sign(room.mouse[0, steps, 1]) == {"left": -1, "right": 1}.get(order, 0)).all()


def test_a_walk_into_a_wall_is_no_walk(room):
    still = type(room)(**(vars(room) | {"pose": room.pose * 0}))
    with pytest.raises(TweenError, match="'walk'"):
        orders(still, before=BEFORE, after=AFTER)


def test_orders_keep_clear_of_cuts(room):
    cuts = room.cuts.copy()
    cuts[0, ::10] = True
    with pytest.raises(TweenError, match="windows of 11 frames"):
        orders(type(room)(**(vars(room) | {"cuts": cuts})), before=BEFORE, after=AFTER)


def test_turning_right_moves_the_picture_left_and_walking_widens_it(real):
    expected = 32 * np.tan(np.radians(4))
    assert (real["right"][:, 0] < -0.8 * expected).all()
    assert (real["left"][:, 0] > 0.8 * expected).all()
    assert (real["walk"][:, 1] > 0.01).all()
    assert (real["stand"] == 0).all()


def test_the_room_obeys(real):
    verdict = obeys(real, calibrate(real))
    assert verdict.right == 1
    assert verdict.table.tolist() == torch.diag(torch.tensor((2, 2, 3, 3))).tolist()
    assert str(verdict).startswith("100.0 % of 10 rollouts obey")


def test_worlds_that_do_not_obey_are_seen_through(room, real):
    """One that stands still, and one in a mirror."""
    thresholds = calibrate(real)
    places = orders(room, before=BEFORE, after=AFTER)

    def judged(world):
        made = {k: measured(world, room, p, before=BEFORE, after=AFTER) for k, p in places.items()}
        return obeys(made, thresholds)

    asleep = judged(lambda seen, keys, mouse: seen[:, -1:].expand(-1, AFTER, -1, -1, -1))
    assert asleep.table[:, ORDERS.index("stand")].tolist() == [2, 2, 3, 3]
    mirrored = judged(lambda seen, keys, mouse: turned(seen[:, -1], -mouse[:, BEFORE - 1 : -1]))
    assert mirrored.table[0, 1] == mirrored.table[1, 0] == 2
    assert mirrored.right < 0.5


def test_a_world_must_give_as_many_frames_as_asked(room):
    with pytest.raises(TweenError, match="ask for as many as"):
        measured(lambda s, k, m: s, room, np.array([[0, 0]]), before=BEFORE, after=AFTER)


@pytest.mark.parametrize(
    ("low", "high", "border"), [((0.0, 1.0), (3.0, 4.0), 2.0), ((0.0, 9.0), (8.0, 8.2), 4.0)]
)
def test_thresholds_lie_where_fewest_are_wrong(low, high, border):
    def column(values, at):
        out = torch.zeros(len(values), 2)
        out[:, at] = torch.tensor(values)
        return out

    real = {
        "stand": column(low, 1),
        "walk": column(high, 1),
        "left": column((5.0,), 0),
        "right": column((-5.0,), 0),
    }
    assert calibrate(real) == Thresholds(turn=2.5, walk=border)


def test_recognise():
    seen = recognise(
        torch.tensor(((3.0, 9.0), (-3.0, 0.0), (0.5, 1.0), (-0.5, 0.1))), Thresholds(turn=1, walk=0.5)
    )
    assert [ORDERS[i] for i in seen] == ["left", "right", "walk", "stand"]


@pytest.mark.parametrize("degrees", [4, -4, 10])
def test_the_turned_frame_is_the_real_one_where_it_was_in_view(degrees):
    before, after = frames_of(picture(2700, 1500, 10), picture(2700, 1500, 10 - degrees)).unbind(1)
    guess = turned(before, torch.tensor([[[0.0, degrees / 40]]]))[:, 0]
    seen = slice(0, 50) if degrees > 0 else slice(14, None)
    inside = (..., slice(6, -6), seen)
    assert decibels((guess[inside] - after[inside]).square()) > 34
    assert decibels((before[inside] - after[inside]).square()) < 25


def test_turns_add_up_and_looking_up_moves_the_picture_down():
    last = frames_of(picture(900, 900, 30))[:, 0]
    twice = turned(last, torch.tensor([[[0.0, 0.1], [0.0, 0.1]]]))
    assert torch.allclose(twice[:, 1], turned(last, torch.tensor([[[0.0, 0.2]]]))[:, 0], atol=1e-5)
    up = turned(last, torch.tensor([[[0.1, 0.0]]]))[:, 0]
    rows = 1.2 * 32 * np.tan(np.radians(4))
    shifted = rows - int(rows)
    expected = (1 - shifted) * last[:, :, 10:20] + shifted * last[:, :, 9:19]
    assert torch.allclose(up[:, :, 10 + int(rows) : 20 + int(rows)], expected, atol=1e-3)


def test_foresight_ranks_the_truth_before_the_turn_before_the_last_frame(room):
    places = orders(room, before=BEFORE, after=AFTER)["right"]

    def near(seen, keys, mouse):
        return torch.stack([room_frames(n, i) for n, i in places]) + 0.001

    def room_frames(n, i):
        frames = torch.from_numpy(room.frames[n, i + BEFORE : i + BEFORE + AFTER])
        return frames.permute(0, 3, 1, 2) / 255 * 0.99

    errors = foresight(near, room, places, before=BEFORE, after=AFTER)
    assert all(e.shape == (2,) for e in errors.values())
    world, turn, last = (decibels(errors[name]) for name in ("world", "turned", "repeated"))
    assert world > 35
    assert world > turn > last + 1


def test_decibels_of_a_perfect_guess_have_a_bound():
    assert decibels(torch.zeros(3)) == 100
    assert decibels(torch.tensor([0.01])) == pytest.approx(20, abs=1e-5)


def test_spread_takes_evenly():
    places = np.arange(20).reshape(10, 2)
    assert spread(places, 4)[:, 0].tolist() == [0, 6, 12, 18]
    assert len(spread(places, 99)) == 10


def test_measure_is_of_each_clip(room):
    frames = torch.from_numpy(room.frames[:, :4]).permute(0, 1, 4, 2, 3) / 255
    both = measure(torch.cat((frames, frames.flip(-1))))
    assert torch.allclose(both[0, 0], -both[1, 0], atol=0.1)


def test_contact_sheet(tmp_path, room):
    clip = torch.from_numpy(room.frames[0, :10]).permute(0, 3, 1, 2) / 255
    contact_sheet(tmp_path / "a.png", {"real": clip, "made": clip.flip(0)}, count=3)
    sheet = np.asarray(Image.open(tmp_path / "a.png"))
    assert sheet.shape == (2 * (48 + 14), 3 * 64, 3)
    assert np.array_equal(sheet[14:62, 64:128], room.frames[0, 4])
    assert np.array_equal(sheet[76:, :64], room.frames[0, 9])
    with pytest.raises(TweenError, match=r"name a \.png"):
        contact_sheet(tmp_path / "none" / "a.png", {"real": clip})
