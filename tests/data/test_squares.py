"""Clips of one size from shots: none crosses a cut, their frames follow one another, shots are held out."""

import pytest
import torch

from tests.data.made import clip
from tween.core import TweenError
from tween.data.squares import squares


@pytest.fixture
def folder(tmp_path):
    clip(tmp_path / "a.avi", n=14)
    clip(tmp_path / "b.avi", n=9)
    (tmp_path / "shots.csv").write_text(
        "file,shot,start_frame,end_frame_excl,mean_flow_px\n"
        "a.avi,0,0,6,2.0\na.avi,1,6,14,2.0\nb.avi,0,0,9,2.0\nmissing.mp4,0,0,50,1.0\n"
    )
    return tmp_path


def test_clips_of_every_shot_that_is_long_enough(folder):
    clips, shot = squares(folder, t=5, side=48, stride=2, workers=1)
    assert clips.shape[1:] == (5, 3, 48, 48)
    assert clips.dtype == torch.uint8
    assert shot.bincount().tolist() == [1, 2, 3]  # begins at 0; at 6 and 8; at 0, 2 and 4
    moved = (clips[:, 1:].float() - clips[:, :-1].float()).abs().mean((1, 2, 3, 4))
    assert moved.min() > 1


def test_wide_pictures_give_three_squares(folder):
    clips, _ = squares(folder, t=8, side=24, stride=8, workers=1)
    wide, shots = squares(folder, t=8, side=24, stride=8, workers=1, hold_out=2)
    assert len(clips) == 2
    assert len(wide) + len(squares(folder, t=8, side=24, stride=8, workers=1, hold_out=-2)[0]) == len(clips)
    assert set(shots.tolist()) == {0}


def test_too_short_shots_are_a_sentence(folder):
    with pytest.raises(TweenError, match="shots of 60 frames or more"):
        squares(folder, t=60)
