"""The middle of videos that hold still enough, filled by both; and the picture of gaps is what its script draws."""

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from bench import common, impute_unseen
from tests.infer import videos
from tween import zoo
from tween.models.interp.baselines import Blend, Nearest

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "figures"


@pytest.fixture
def simple(monkeypatch):
    def load(name, **more):
        return Blend() if name == "impute" else Nearest()

    monkeypatch.setattr(impute_unseen, "load", load)
    monkeypatch.setattr(zoo, "load", load)


def test_videos_are_measured_and_cuts_left_out(tmp_path, monkeypatch, simple):
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    folder = tmp_path / "videos"
    folder.mkdir()
    frames = [videos.picture(i) for i in range(60)]
    times = [i / 30 for i in range(60)]
    videos.write(folder / "a.mp4", times, pictures=frames)
    videos.write(folder / "cut.mp4", times, pictures=[*frames[:30], *(255 - f for f in frames[30:])])
    videos.write(folder / "short.mp4", times[:20], pictures=frames[:20])
    impute_unseen.main(["--path", str(folder)])
    rows = common.load("impute_unseen")["rows"]
    assert [(row["video"], row["gap"]) for row in rows] == [("a.mp4", gap) for gap in (4, 8, 16)]
    for row in rows:
        assert row["gain"] == row["impute"] - row["fast"]
        assert row["fast"] > 5
    assert rows[0]["gain"] > 0  # of a slope that moves little, the mean is nearer than the nearer frame
    impute_unseen.main(["--path", str(folder), "--gaps", "16"])
    assert common.load("impute_unseen_16")["rows"] == rows[2:]


def test_the_picture_is_drawn_by_its_script(tmp_path, monkeypatch, simple):
    frames = [videos.picture(i, (80, 96)) for i in range(13)]
    video = videos.write(tmp_path / "v.mp4", [i / 24 for i in range(13)], pictures=frames)
    out = tmp_path / "s.png"
    monkeypatch.setattr(sys, "argv", ["impute.py", f"{video}:4:4", "--out", str(out)])
    runpy.run_path(str(FIGURES / "impute.py"), run_name="__main__")
    whole = Image.open(FIGURES / "impute.png")
    assert (Image.open(out).width, 2 * Image.open(out).height) == (whole.width, whole.height - 6)
