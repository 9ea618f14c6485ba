"""Which windows are cut from shots nobody trained on, and what is said of them."""

import json

import numpy as np
import pytest

from bench import common, report
from bench import splat_windows_real as real
from tests.data.made import clip, picture
from tween.data.clips import Shot
from tween.models.interp.baselines import Blend, Dis


def filmed(speed, n=60):
    """`n h w 3`: a texture that moves by `speed` px a frame."""
    return np.stack([picture(round(speed * i)) for i in range(n)])


@pytest.mark.parametrize(("speed", "gap"), [(1, 12), (2, 8), (4, 4), (8, 2)])
def test_the_gap_is_the_first_over_which_things_move_far_enough(speed, gap):
    n = min(60, 120 // speed)
    place, moved = real.widened(filmed(speed, n), n / 2, 0, n)
    fits = max(g for g in real.GAPS if 3 * g < n)
    assert place.gap == min(gap, fits)
    assert moved == pytest.approx(speed * place.gap, rel=0.1)
    assert abs(place.start + 1.5 * place.gap - n / 2) <= 1


def test_windows_lie_inside_their_shot_spread_and_none_twice():
    film = filmed(2)
    found = list(real.places(film, range(60), Shot(file="a", start=10, count=40, flow=2.0), 3))
    assert [p.gap for p in found] == [8, 8, 8]
    assert [p.start for p in found] == [10, 18, 25]
    assert all(p.start + 3 * p.gap < 50 for p in found)
    assert len(list(real.places(film, range(60), Shot(file="a", start=10, count=13, flow=2.0), 3))) == 1


def test_what_stands_still_or_flies_past_has_no_window():
    shot = Shot(file="a", start=0, count=8, flow=0.0)
    assert not list(real.places(filmed(0, 8), range(8), shot, 3))
    assert not list(real.places(filmed(2, 5), range(5), Shot(file="a", start=0, count=5, flow=2.0), 3))


def test_frames_that_repeat_or_come_late_are_not_taken():
    film, place = filmed(4, 20), real.Place(2, 4)
    assert real.steady(film, range(20), place)
    assert not real.steady(film, [*range(8), *range(9, 21)], place)
    film[9] = film[8]
    assert not real.steady(film, range(20), place)
    assert real.steady(film, range(20), real.Place(9, 2))


def test_the_truth_is_halfway():
    film = filmed(4, 20)
    each = real.cut(film, Shot(file="b/c.mp4", start=1, count=19, flow=4.0), real.Place(3, 4))
    assert each.name == "c at 1 frame 2 gap 4"
    at = real.pictures(film, [3, 7, 11, 15, 9])
    assert (each.frames == at[:4]).all()
    assert (each.truth == at[4]).all()


def test_the_curved_half_of_every_set():
    windows = {
        f"s{i} at 0 frame {i} gap 2": {
            "kind": kind,
            "curvature": i / 10,
            "foreseen": -i,
            "psnr": {"n2": 20.0, "n4": 20.0 + i},
        }
        for i, kind in enumerate(["film", "film", "recorded", "recorded"])
    }
    found = real.sets(windows)
    sizes = {kind: len(table["n4"]) for kind, table in found.items()}
    assert sizes == {
        **{"all": 4, "all, curved half": 2, "all, foreseen half": 2},
        **{"recorded": 2, "recorded, curved half": 1, "film": 2, "film, curved half": 1},
    }
    assert found["all, curved half"]["n4"] == {"s2 at 0 frame 2 gap 2": 22.0, "s3 at 0 frame 3 gap 2": 23.0}
    assert list(found["all, foreseen half"]["n2"]) == ["s0 at 0 frame 0 gap 2", "s1 at 0 frame 1 gap 2"]
    assert list(found["film, curved half"]["n2"]) == ["s1 at 0 frame 1 gap 2"]


def test_held_out_shots_and_unseen_clips_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(real, "ready", lambda *_, **__: None)
    fillers = {name: Dis() if name == "n4" else Blend() for name in ("n2", "n3", "n4", "dis", "fast")}
    monkeypatch.setattr(real, "beside", lambda *_: fillers)
    for name in ("data", "clips", "film"):
        clip(tmp_path / name / f"{name}.avi", n=32)
        (tmp_path / name / "shots.csv").write_text(
            "file,shot,start_frame,end_frame_excl,mean_flow_px\n"
            + "".join(f"{name}.avi,{k},{16 * k},{16 * k + 16},2\n" for k in range(2))
        )
    folders = [str(tmp_path / name) for name in ("data", "clips", "film")]
    real.main(["--data", folders[0], "--hold-out", "2", "--unseen", *folders[1:], "--each", "1"])
    found = json.loads((tmp_path / "splat_windows_real.json").read_text())
    assert [(name.split(" frame")[0], w["kind"]) for name, w in found["windows"].items()] == [
        ("data at 16", "recorded"), ("clips at 0", "recorded"), ("clips at 16", "recorded"),
        ("film at 0", "film"), ("film at 16", "film"),
    ]  # fmt: skip
    gain = next(d for d in found["differences"] if (d["kind"], d["a"], d["b"]) == ("all", "n4", "n2"))
    assert gain["units"] == 5
    assert gain["mean"] > 3  # a shift is what DIS finds, and what a blend does not
    assert "| PSNR, dB | all, 5 windows |" in report.table("splat_windows_real")
