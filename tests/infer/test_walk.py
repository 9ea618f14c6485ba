"""Walks: smoothed to other rates, with keys drawn in, on film."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.infer.fakes import Linear
from tests.infer.worlds import picture, turned, world
from tween.core import TweenError
from tween.infer.film import Overlay, filming, full_turn, letters
from tween.infer.script import read_script, spelled
from tween.infer.walk import smooth, walk
from tween.models.stream.actions import GTA_DRIVE, TEMPLERUN
from tween.video.read import open_reader


def walked(words, place=None, seed=0):
    place = place or world()
    return list(walk(place.open(seed=seed), place, spelled(words.split(), place)))


def frames(blocks):
    return [frame for block in blocks for frame in block.frames]


@settings(max_examples=20, deadline=None)
@given(fps=st.fractions(Fraction(35, 2), 120, max_denominator=1001))
def test_smoothing_keeps_ticks_and_ends_where_the_walk_ends(fps):
    place = world(size=(8, 16))
    made = list(smooth(iter(frames(walked("L W", place))), place.rate, fps, Linear(), "cpu"))
    end = 21 / place.rate
    assert [frame.time for frame in made] == [i / fps for i in range(len(made))]
    assert made[-1].time < end <= made[-1].time + 1 / fps


def test_frames_on_a_tick_pass_untouched_and_others_lie_between():
    known = frames(walked("L L"))
    made = list(smooth(iter(known), Fraction(35, 2), Fraction(35), Linear(), "cpu"))
    assert all(torch.equal(a.rgb, b.rgb) for a, b in zip(known, made[::2], strict=True))
    torch.testing.assert_close(made[1].rgb, (known[0].rgb + known[1].rgb) / 2)


def test_smoothing_waits_for_two_frames_and_no_more():
    taken = []

    def watched():
        for i, frame in enumerate(frames(walked("L L L L"))):
            taken.append(i)
            yield frame

    for frame in smooth(watched(), Fraction(35, 2), Fraction(60), Linear(), "cpu"):
        now = int(frame.time * Fraction(35, 2))
        assert taken[-1] <= now + 2


def test_fewer_frames_than_the_world_makes():
    with pytest.raises(TweenError, match=r"at least the world's own 17\.5, but got 10"):
        smooth(iter(()), Fraction(35, 2), Fraction(10), Linear(), "cpu")


def test_a_walk_needs_actions_for_a_block(tmp_path):
    (tmp_path / "a.csv").write_text("horizontal\n0.1\n")
    place = world()
    with pytest.raises(TweenError, match="first block shows 9 frames, but there are actions for 1"):
        next(walk(place.open(), place, read_script(tmp_path / "a.csv", place)))


def test_the_overlay_lights_what_is_held_then():
    place, blocks = world(size=(96, 128)), []
    overlay = Overlay(place)
    for block in walked("W D", place):
        overlay.add(block)
        blocks += [(frame, overlay.draw(frame)) for frame in block.frames]
    for i, (plain, drawn) in enumerate(blocks):
        changed = (drawn.rgb - plain.rgb).abs().amax(0) > 0.05
        assert changed[70:, :].any()
        assert not changed[:60].any()
        assert drawn.time == plain.time
        amber = (drawn.rgb[0] - drawn.rgb[2]) > 0.6
        columns = amber.any(0).nonzero().flatten()
        assert (columns.float().mean() < 20) == (i < 9), "W is left of D"


def test_letters_of_keys_and_the_turn_of_a_mouse():
    assert letters(world()) == ["W", "S", "A", "D"]
    assert letters(world(mode=GTA_DRIVE)) == ["W", "S"]
    assert letters(world(mode=TEMPLERUN)) == ["Q", "W", "S", "Z", "C", "A", "D"]
    assert [full_turn(world(mode=mode)) for mode in (GTA_DRIVE, TEMPLERUN)] == [0.1, 1.0]


def test_a_film_has_the_frames_at_their_times(tmp_path):
    made = frames(walked("L L J"))
    with filming(tmp_path / "a.mp4", world(), crf=1) as writer:
        for frame in made:
            writer.write(frame)
    with open_reader(tmp_path / "a.mp4") as reader:
        found = list(reader)
    assert [frame.time for frame in found] == [frame.time for frame in made]
    assert all((a.rgb - b.rgb).abs().mean() < 0.02 for a, b in zip(found, made, strict=True))
    assert turned(found[0].rgb, found[20].rgb) == pytest.approx(turned(made[0].rgb, made[20].rgb), abs=2)


def test_a_world_begins_with_a_picture_of_its_size():
    with pytest.raises(TweenError, match="begins with a picture of 64x48, but got 80x64"):
        world().open(picture(size=(64, 80)))


def test_letters_are_held_and_walked_by_hand():
    place = world()
    here = place.open(seed=1)
    _, here = here.step(place.hold("L", len(here.due)))
    clip, here = here.step(place.hold(place.read("L"), len(here.due)))
    assert torch.equal(
        clip.frames[0], torch.stack([frame.rgb for frame in frames(walked("L L", seed=1))[9:]])
    )
