"""Frames by their stamps are those that a whole reading gives, wherever key frames lie; cuts are found on the way."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.layouts import number, two_shots, video
from tween.core import TweenError
from tween.video.pick import pick, stamps
from tween.video.read import open_reader
from tween.video.shots import find_shots


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return video(tmp_path_factory.mktemp("pick") / "a.mp4", 40, gop=11)


@given(wanted=st.lists(st.integers(0, 39), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_frames_in_any_order(clip, wanted):
    assert [number(p) for p in pick(clip, stamps(clip)[wanted])] == wanted


def test_they_are_what_the_reader_gives(clip):
    with open_reader(clip) as reader:
        frames = list(reader)
        base = reader.info.time_base
    assert [int(f.time / base) for f in frames] == stamps(clip).tolist()
    for i in (0, 17, 39):
        expected = (frames[i].rgb * 255).round().byte().permute(1, 2, 0).numpy()
        assert np.array_equal(pick(clip, stamps(clip)[i : i + 1])[0], expected)


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mov"])
def test_other_containers_and_clocks_that_start_late(tmp_path, suffix):
    path = video(tmp_path / f"a{suffix}", 30, gop=8, start=Fraction(7, 2))
    times = stamps(path)
    assert len(times) == 30
    assert [number(p) for p in pick(path, times[[29, 3, 12]])] == [29, 3, 12]


def test_a_rate_that_varies(tmp_path):
    at = [Fraction(n * n, 100) for n in range(10)]
    times = stamps(video(tmp_path / "a.mkv", 10, times=at))
    assert np.allclose((times - times[0]) / 1000, [float(t) for t in at], atol=2e-3)


def test_what_cannot_be_picked(tmp_path, clip):
    with pytest.raises(TweenError, match="1 of those asked for cannot be decoded"):
        pick(clip, [stamps(clip)[-1] + 10_000])
    with pytest.raises(TweenError, match="there is no file"):
        stamps(tmp_path / "absent.mp4")
    (tmp_path / "b.mp4").write_bytes(clip.read_bytes()[:900])
    with pytest.raises(TweenError, match="expected"):
        stamps(tmp_path / "b.mp4")


def test_half_a_transport_stream_is_not_whole(tmp_path):
    whole = video(tmp_path / "a.ts", 30, size=(320, 240))
    times = stamps(whole)
    (tmp_path / "b.ts").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(TweenError, match="copy it again"):
        pick(tmp_path / "b.ts", times[-2:])


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        sound = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        out.mux(sound.encode(frame))
        out.mux(sound.encode())
    with pytest.raises(TweenError, match="holds no pictures"):
        stamps(tmp_path / "a.mp4")


def test_shots_end_at_the_cut_and_know_their_motion(tmp_path):
    first, second = find_shots(two_shots(tmp_path / "a.mp4", (20, 16), step=(3, 0)))
    assert (first.start, first.end, second.start, second.end) == (0, 20, 20, 36)
    assert first.flow == pytest.approx(3, abs=0.6)
    assert second.flow < 0.3
