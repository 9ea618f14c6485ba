"""Whole files: exact times for every rate, originals unchanged, sound kept, stages stopped together."""

import os
import threading
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.infer import videos
from tests.infer.fakes import Linear
from tween.core import TweenError
from tween.infer.fill import Note
from tween.infer.pipeline import Progress, Request, filled, interpolate
from tween.video.read import open_reader


def read(path):
    with open_reader(path) as reader:
        return list(reader)


def constant(rate, count, start=Fraction(0)):
    return [start + i / Fraction(rate) for i in range(count)]


VARIABLE = [Fraction(x, 600) for x in (0, 20, 45, 60, 100, 120, 125, 180, 200, 235, 240)]
CASES = {
    "23.976 to 60": (constant(Fraction(24000, 1001), 25), 24, 60),
    "23.976 to 59.94": (constant(Fraction(24000, 1001), 25), 24, Fraction(60000, 1001)),
    "25 to 60": (constant(25, 26), 25, 60),
    "30 to 60, late start": (constant(30, 12, Fraction(3, 2)), 30, 60),
    "variable to 60": (VARIABLE, 30, 60),
}


@pytest.mark.parametrize("case", CASES)
def test_times_are_exact_through_the_whole_pipeline(tmp_path, case):
    times, rate, fps = CASES[case]
    base = Fraction(1, 24000) if "23" in case else videos.BASE
    source = videos.write(tmp_path / "in.mp4", times, rate=rate, base=base, sound=True)
    before = read(source)
    assert [frame.time for frame in before] == times
    summary = interpolate(Request(path=source, fps=Fraction(fps)), tmp_path / "out.mp4", Linear(), crf=4)
    after = read(tmp_path / "out.mp4")
    assert [frame.time for frame in after] == [times[0] + Fraction(k) / fps for k in range(len(after))]
    assert summary.frames_in == len(times)
    assert summary.frames_out == len(after)
    at = {frame.time: frame.rgb for frame in before}
    same = [frame for frame in after if frame.time in at]
    assert summary.untouched == len(same) >= 1
    for frame in same:  # within what the encoder loses
        assert (frame.rgb - at[frame.time]).abs().mean() < 1.5 / 255


def test_untouched_frames_are_bit_for_bit_the_decoded_ones(tmp_path):
    source = videos.write(tmp_path / "in.mp4", constant(25, 11), rate=25)
    decoded = {frame.time: frame.rgb for frame in read(source)}
    with filled(Request(path=source, fps=Fraction(60)), Linear()) as (_, frames):
        kept = [frame for frame in frames if frame.source]
    assert [frame.time for frame in kept] == [0, Fraction(1, 5), Fraction(2, 5)]
    assert all(torch.equal(frame.rgb, decoded[frame.time]) for frame in kept)


@pytest.mark.parametrize(
    ("rate", "fps", "own"), [(30, 60, 20), (24, 60, 10), ("30000/1001", "60000/1001", 20)]
)
def test_times_rounded_to_milliseconds_are_still_on_their_ticks(tmp_path, rate, fps, own):
    rate, fps = Fraction(rate), Fraction(fps)
    source = videos.write(tmp_path / "in.mkv", constant(rate, 20), rate=rate, base=Fraction(1, 1000))
    assert any((frame.time * rate).denominator > 1 for frame in read(source)[1:])
    with filled(Request(path=source, fps=fps), Linear()) as (_, frames):
        made = list(frames)
    assert [frame.time for frame in made] == [Fraction(k) / fps for k in range(len(made))]
    assert len(made) == round(20 * fps / rate)
    assert sum(frame.source for frame in made) == own


def test_frames_one_unit_of_the_clock_apart_stay_in_order(tmp_path):
    times = [Fraction(x, 1000) for x in (0, 16, 17, 33, 34, 50)]
    source = videos.write(tmp_path / "in.mkv", times, rate=60, base=Fraction(1, 1000))
    with filled(Request(path=source, fps=Fraction(1000, 33)), Linear()) as (_, frames):
        assert [frame.time for frame in frames] == [0, Fraction(33, 1000)]
    with filled(Request(path=source, fps=Fraction(2000, 33)), Linear()) as (_, frames):
        assert [frame.time * 2000 / 33 for frame in frames] == [0, 1, 2, 3]


def test_slow_motion(tmp_path):
    source = videos.write(tmp_path / "in.mp4", constant(30, 8), sound=True)
    summary = interpolate(
        Request(path=source, fps=Fraction(30), stretch=Fraction(4)), tmp_path / "out.mp4", Linear()
    )
    assert summary.frames_out == 32
    assert [frame.time for frame in read(tmp_path / "out.mp4")] == constant(30, 32)
    assert any("sound" in warning for warning in summary.warnings)


def test_a_part_of_the_source(tmp_path):
    source = videos.write(tmp_path / "in.mp4", constant(30, 30))
    request = Request(path=source, fps=Fraction(60), start=Fraction(1, 3), stop=Fraction(2, 3))
    with filled(request, Linear()) as (_, frames):
        times = [frame.time for frame in frames]
    assert times == [Fraction(1, 3) + Fraction(k, 60) for k in range(20)]


def test_duplicates_are_retimed(tmp_path):
    pictures = [videos.picture(i // 2 * 2) for i in range(16)]
    source = videos.write(tmp_path / "in.mp4", constant(24, 16), rate=24, pictures=pictures)
    with filled(Request(path=source, fps=Fraction(24), retime=True), Linear()) as (_, frames):
        made = list(frames)
    assert [frame.time for frame in made] == constant(24, 16)
    assert [frame.source for frame in made[:8]] == [True, False] * 4


def test_progress_and_rates(tmp_path):
    source = videos.write(tmp_path / "in.mp4", constant(30, 6))
    events = []
    summary = interpolate(
        Request(path=source, fps=Fraction(60)), tmp_path / "out.mp4", Linear(), on=events.append
    )
    assert [event.frames for event in events if isinstance(event, Progress)] == list(range(1, 13))
    assert set(summary.rates) == {"decode", "infer", "encode"}
    assert summary.bottleneck in summary.rates
    assert all(rate > 0 for rate in summary.rates.values())


class Broken(Linear):
    def fill(self, *args):
        if len(self.calls) == 3:
            raise TweenError("the filler gave up")
        return super().fill(*args)


def test_an_error_stops_everything_and_leaves_nothing(tmp_path):
    source = videos.write(tmp_path / "in.mp4", constant(30, 40))
    threads = threading.active_count()
    with pytest.raises(TweenError, match="gave up"):
        interpolate(Request(path=source, fps=Fraction(60)), tmp_path / "out.mp4", Broken())
    assert threading.active_count() == threads
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_ctrl_c_leaves_nothing(tmp_path):
    source = videos.write(tmp_path / "in.mp4", constant(30, 40))

    def stop(event):
        if isinstance(event, Progress) and event.frames == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interpolate(Request(path=source, fps=Fraction(60)), tmp_path / "out.mp4", Linear(), on=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_step_down_is_told_and_the_output_is_whole(tmp_path):
    class Once(Linear):
        def fill(self, *args):
            if len(self.calls) == 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().fill(*args)

    source = videos.write(tmp_path / "in.mp4", constant(30, 10))
    notes = []
    summary = interpolate(
        Request(path=source, fps=Fraction(60)),
        tmp_path / "out.mp4",
        Once(),
        fallbacks=(("smaller", Linear),),
        on=notes.append,
    )
    assert [note.text for note in notes if isinstance(note, Note)] == [
        "Memory ran out: smaller; going on at the same frame."
    ]
    assert summary.frames_out == 20


def test_memory_stays_flat(tmp_path):
    """A leak of one 48x64 frame a frame would be 36 MiB here."""
    source = videos.write(tmp_path / "in.mp4", constant(30, 1000))
    resident = {}

    def watch(event):
        if isinstance(event, Progress) and event.frames in (1000, 1999):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident[event.frames] = pages * os.sysconf("SC_PAGE_SIZE")

    interpolate(Request(path=source, fps=Fraction(60)), tmp_path / "out.mp4", Linear(), on=watch)
    assert resident[1999] - resident[1000] < 12 * 2**20
