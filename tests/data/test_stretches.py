"""Stretches of clips: cut within shots, of the size asked for, the same for the same seed; some shots held out."""

import pytest
import torch

from tests.data.made import clip
from tween.core import TweenError
from tween.data.stretches import films, middles, squares_of


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A clip of 30 frames that moves two pixels a frame, cut into three shots."""
    root = tmp_path_factory.mktemp("stretches")
    clip(root / "in" / "a.avi", n=30)
    (root / "shots.csv").write_text(
        "file,shot,start_frame,end_frame_excl,mean_flow_px\n"
        "in/a.avi,0,0,10,2.0\nin/a.avi,1,10,20,2.0\nin/a.avi,2,20,99,2.0\nmissing.avi,0,0,50,1.0\n"
    )
    return root


def of(place, **fields):
    return films(place, place / "packed", **{"t": 7, "workers": 1} | fields)


def test_shots_end_where_their_clip_does_and_short_ones_are_left_out(place):
    assert [s.count for s in of(place).shots] == [10, 10, 10]
    with pytest.raises(TweenError, match="11 frames or more"):
        of(place, t=11)


def test_every_third_shot_is_held_out(place):
    assert [s.start for s in of(place, hold_out=3).shots] == [0, 10]
    assert [s.start for s in of(place, hold_out=-3).shots] == [20]


def test_squares_are_of_one_size_and_a_pure_function_of_the_seed(place):
    a, b, c = (squares_of(of(place), 6, t=7, side=32, seed=seed, workers=2) for seed in (0, 0, 1))
    assert a.shape == (6, 7, 3, 32, 32)
    assert a.dtype == torch.uint8
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_frame_follows_the_other(place):
    """The picture moves to the left by two pixels, by one where it is at half size."""
    for part in squares_of(of(place), 8, t=7, side=32, workers=1).float():
        errors = [(part[1:, ..., : 32 - k] - part[:-1, ..., k:]).abs().mean() for k in (0, 1, 2)]
        assert min(errors[1:]) < 0.5 * errors[0]


def test_the_middle_of_each_shot_is_mirrored_where_it_is_too_small(place):
    found = middles(of(place), t=7, size=(64, 160))
    assert [part.shape for part in found] == [(7, 3, 64, 160)] * 3
    assert torch.equal(found[0][..., 128:], found[0][..., 96:128].flip(-1))
    half = middles(of(place), t=7, size=(48, 64))
    assert half[0].shape == (7, 3, 48, 64)
