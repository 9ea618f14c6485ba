"""The look before the work says what is in the file, and writes nothing."""

from fractions import Fraction

import numpy as np

from tests.infer import videos
from tests.infer.fakes import Linear
from tween.infer.memory import fit
from tween.infer.pipeline import Request
from tween.infer.preflight import FLOATS, KEPT, _untouched, look
from tween.video import arrays
from tween.video.read import open_reader, probe


def report(path, fps=60, free=None, **options):
    filler = Linear(multiple=8, bytes_per_pixel=100)
    return look(Request(path=path, fps=Fraction(fps), **options), probe(path), fit(filler, free), "cpu")


def test_a_plain_clip(tmp_path):
    found = report(videos.write(tmp_path / "in.mp4", [Fraction(i, 30) for i in range(20)]))
    assert (found.frames_in, found.frames_out, found.fps_in, found.fps_out) == (20, 40, 30, 60)
    assert (found.variable, found.cuts, found.duplicates, found.interlacing) == (False, (), "none", None)
    assert found.tiles == 1
    assert found.memory["network"] == 48 * 64 * 100
    assert found.seconds > 0
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_frames_wait_as_planes_and_on_a_gpu_as_nothing_else(tmp_path, monkeypatch):
    path = videos.write(tmp_path / "in.mp4", [Fraction(i, 30) for i in range(4)])
    there = report(path).memory["frames"]
    monkeypatch.setattr(arrays, "by_torch", lambda device: True)
    planes = report(path).memory["frames"]
    assert planes == KEPT * 48 * 64 * 3 // 2
    assert there - planes == FLOATS * 48 * 64 * 12


def test_animation_on_twos_with_variable_rate(tmp_path):
    times = [Fraction(i, 24) + (Fraction(1, 48) if i > 10 else 0) for i in range(24)]
    pictures = [videos.picture(3 * (i // 2)) for i in range(24)]
    found = report(videos.write(tmp_path / "in.mp4", times, pictures=pictures, rate=24))
    assert found.variable
    assert found.duplicates == "mostly 2s"
    assert found.repeated == 12


def test_interlaced_names_the_filter(tmp_path):
    pictures = []
    for i in range(16):
        a, b = (videos.picture(6 * i + 3 * field, (96, 160)) for field in (0, 1))
        woven = a.copy()
        woven[1::2] = b[1::2]
        pictures.append(np.ascontiguousarray(woven))
    found = report(videos.write(tmp_path / "in.mp4", [Fraction(i, 25) for i in range(16)], pictures=pictures))
    assert (found.interlacing, found.run_first) == ("interlaced", "bwdif")


def test_tiles_and_slow_motion(tmp_path):
    pictures = [videos.picture(i, (480, 640)) for i in range(3)]
    path = videos.write(tmp_path / "in.mp4", [Fraction(i, 30) for i in range(3)], pictures=pictures)
    found = report(path, fps=30, stretch=Fraction(4), free=10**7)
    assert found.frames_out == 12
    assert found.tiles > 1
    assert found.memory["network"] <= 10**7


def test_frames_at_rounded_times_are_on_their_ticks(tmp_path):
    """Milliseconds of Matroska: all frames of 30 a second pass through at 60, not every third."""
    path = videos.write(tmp_path / "in.mkv", [Fraction(i, 30) for i in range(30)])
    with open_reader(path) as reader:
        times = [frame.time for frame in reader]
    assert _untouched(times, Request(path=path, fps=Fraction(60)), probe(path).time_base) == 30
    assert _untouched(times, Request(path=path, fps=Fraction(50)), probe(path).time_base) == 10
