"""What is written is whole, timed and tagged as the source, or it is not there at all."""

import errno
import os
import resource
import signal
import struct
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.video.clips import info, moving
from tween.core import Frame, TweenError
from tween.video.colour import Colour
from tween.video.encoding import choose
from tween.video.planes import planes_of
from tween.video.read import open_reader, probe
from tween.video.write import open_writer

FAST = {"preset": "ultrafast"}


def write(path, frames, made=None, **options):
    made = made or info()
    with open_writer(path, info=made, rate=options.pop("rate", made.rate), **options) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.warnings


@pytest.mark.parametrize(
    "rate", [Fraction(60), Fraction(60000, 1001), Fraction(24000, 1001), Fraction(90000, 1499)]
)
@pytest.mark.parametrize("start", [Fraction(0), Fraction(8333, 1000), Fraction(127995, 15360)])
def test_mp4_times_are_exact(rate, start, tmp_path):
    path = tmp_path / "out.mp4"
    write(path, moving(20, rate=rate, start=start), rate=rate, **FAST)
    with open_reader(path) as reader:
        assert [frame.time for frame in reader] == [start + i / rate for i in range(20)]
        assert reader.end == start + 20 / rate
        assert reader.info.rate == rate


def test_variable_times_are_exact(tmp_path):
    times = [Fraction(k, 600) for k in (0, 7, 20, 21, 60, 61, 100)]
    frames = [Frame(time=t, rgb=f.rgb) for t, f in zip(times, moving(7), strict=True)]
    write(tmp_path / "out.mp4", frames, time_base=Fraction(1, 600), **FAST)
    with open_reader(tmp_path / "out.mp4") as reader:
        assert [frame.time for frame in reader] == times


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("vfr_568x320_audio_cat.mp4", "libx264"),
        ("rotation_90_metadata_nasa.mp4", "libx264"),
        ("hdr_10bit_hevc_nasa_320x180.mp4", "libx265"),
        ("av1_10bit_hdr_426x240.webm", "libx265"),
        ("odd_321x241_444_10bit_h264.mp4", "libx264"),
        ("anamorphic_sar_2x1.mp4", "libx264"),
        ("mpeg1_mp2_128x128.mpg", "libx264"),
        ("nonzero_start_time_200x112.mp4", "libx264"),
    ],
)
def test_geometry_colour_and_depth_survive(name, codec, shared, tmp_path):
    source, path = shared / "videos" / name, tmp_path / "out.mp4"
    with open_reader(source, stop=Fraction(1, 2)) as reader:
        was = reader.info
        write(path, reader, was, codec=codec, source=source, stop=Fraction(1, 2), **FAST)
    now = probe(path)
    assert (now.width, now.height, now.rotation) == (was.width, was.height, was.rotation)
    assert now.sar == was.sar
    assert now.bits == was.bits
    assert now.pix_fmt == was.pix_fmt
    tags = now.colour
    assert (tags.matrix, tags.primaries, tags.transfer) == (
        was.colour.matrix,
        was.colour.primaries,
        was.colour.transfer,
    )
    assert (tags.range or 1) == (was.colour.range or 1)  # silence means limited
    assert tags.location in (was.colour.location or 1, 0 if "444" in was.pix_fmt else 1)
    assert now.start == pytest.approx(float(was.start - was.origin), abs=1e-6)


@pytest.mark.parametrize("limits", [1, 2])
@pytest.mark.parametrize(
    ("matrix", "primaries", "transfer"), [(1, 1, 1), (6, 6, 6), (5, 5, 6), (9, 9, 16), (9, 9, 18)]
)
@pytest.mark.parametrize("location", [1, 2, 3])
def test_every_colour_tag_is_written(limits, matrix, primaries, transfer, location, tmp_path):
    colour = Colour(range=limits, matrix=matrix, primaries=primaries, transfer=transfer, location=location)
    write(tmp_path / "out.mp4", moving(2), info(colour=colour), **FAST)
    assert probe(tmp_path / "out.mp4").colour == colour


@pytest.mark.parametrize("codec", ["libx265", "libx264"])
def test_static_hdr_metadata_is_kept(codec, tmp_path):
    spots = [
        (34000, 16000),
        (13250, 34500),
        (7500, 3000),
        (15635, 16450),
    ]  # red, green, blue, white of BT.2020
    numbers = [n for x, y in spots for n in (x, 50000, y, 50000)]
    display = struct.pack("22i", *numbers, 50, 10000, 10000000, 10000, 1, 1)
    side = {"MASTERING_DISPLAY_METADATA": display, "CONTENT_LIGHT_LEVEL": struct.pack("2I", 1000, 400)}
    made = info(
        pix_fmt="yuv420p10le", bits=10, side_data=side, colour=Colour(matrix=9, primaries=9, transfer=16)
    )
    write(tmp_path / "out.mp4", moving(3), made, codec=codec, **FAST)
    found = probe(tmp_path / "out.mp4").side_data
    assert found["CONTENT_LIGHT_LEVEL"] == side["CONTENT_LIGHT_LEVEL"]
    numbers = struct.unpack("22i", found["MASTERING_DISPLAY_METADATA"])
    values = [a / b for a, b in zip(numbers[0:20:2], numbers[1:20:2], strict=True)]
    assert values == pytest.approx([n / 50000 for spot in spots for n in spot] + [0.005, 1000])


def test_dynamic_hdr_metadata_is_missed_aloud(shared, tmp_path):
    was = probe(shared / "videos/rotation_-90_10bit_hevc_1080p60_iphone_6frames.mp4")
    warnings = write(tmp_path / "out.mp4", moving(2), info(side_data=was.side_data), **FAST)
    assert warnings == ["Dolby Vision metadata, made for each frame, is not carried; the base picture is"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("turned", [90, -90, 180])
def test_rotation_is_written(suffix, turned, tmp_path):
    c, s = {90: (0, 1), -90: (0, -1), 180: (-1, 0)}[turned]
    one = 1 << 16
    matrix = struct.pack("9i", c * one, -s * one, 0, s * one, c * one, 0, 0, 0, 1 << 30)
    write(
        tmp_path / f"out{suffix}",
        moving(2),
        info(rotation=turned, side_data={"DISPLAYMATRIX": matrix}),
        **FAST,
    )
    assert abs(probe(tmp_path / f"out{suffix}").rotation) == abs(turned)
    assert probe(tmp_path / f"out{suffix}").side_data["DISPLAYMATRIX"] == matrix


def test_a_container_without_rotation_warns(tmp_path):
    assert "turned by 90" in write(tmp_path / "out.ts", moving(2), info(rotation=90), **FAST)[-1]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p"])
@pytest.mark.parametrize("limits", [1, 2])
def test_flat_field_through_a_lossless_codec_stays_within_half_a_step(pix_fmt, limits, tmp_path):
    """Decoded, converted, encoded and decoded again: not one code value moves."""
    colour = Colour(matrix=1, primaries=1, transfer=1, range=limits, location=1)
    made = info(pix_fmt=pix_fmt, bits=10 if "10" in pix_fmt else 8, colour=colour)
    paths = [tmp_path / f"{i}.mkv" for i in range(3)]
    flat = [
        Frame(time=Fraction(i, 25), rgb=torch.tensor(rgb).view(3, 1, 1).expand(3, 48, 64))
        for i, rgb in enumerate(
            [(0.5, 0.5, 0.5), (0.9, 0.2, 0.3), (0.1, 0.6, 0.9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)]
        )
    ]
    write(paths[0], flat, made, codec="ffv1")
    for before, after in pairwise(paths):
        with open_reader(before) as reader:
            write(after, reader, reader.info, codec="ffv1")
    stored = []
    for path in paths:
        with av.open(str(path)) as container:
            stored.append([[plane.copy() for plane in planes_of(f)[1]] for f in container.decode(video=0)])
    assert len(stored[0]) == 5
    for first, last in zip(stored[0], stored[2], strict=True):
        for a, b in zip(first, last, strict=True):
            assert a.min() == a.max()
            np.testing.assert_array_equal(a, b)


def test_real_pictures_pass_through_unchanged(shared, tmp_path):
    """Luma and chroma of real frames, where they lie inside the gamut, come out as they went in."""
    source = shared / "videos/vfr_568x320_audio_cat.mp4"
    with open_reader(source, stop=Fraction(1, 5)) as reader:
        write(tmp_path / "out.mkv", reader, reader.info, codec="ffv1")
    with av.open(str(source)) as a, av.open(str(tmp_path / "out.mkv")) as b:
        for before, after in zip(a.decode(video=0), b.decode(video=0), strict=False):
            for x, y in zip(planes_of(before)[1], planes_of(after)[1], strict=True):
                changed = np.abs(x.astype(int) - y)
                assert (changed > 0).mean() < 0.002
                assert changed.max() <= 3


@pytest.mark.parametrize(
    ("suffix", "made", "codec", "pix_fmt"),
    [
        (".mp4", {}, "h264", "yuv420p"),
        (".mp4", {"pix_fmt": "yuv420p10le", "bits": 10}, "hevc", "yuv420p10le"),
        (".mp4", {"pix_fmt": "yuv422p10le", "bits": 10}, "hevc", "yuv422p10le"),
        (".mkv", {"pix_fmt": "bgra"}, "h264", "yuv420p"),
        (".mov", {"pix_fmt": "yuvj420p"}, "h264", "yuvj420p"),
        (".m4v", {"pix_fmt": "yuv420p10le", "bits": 10}, "hevc", "yuv420p10le"),
        (".mp4", {"pix_fmt": "gray"}, "h264", "yuv420p"),
        (".mp4", {"width": 63, "height": 47}, "h264", "yuv444p"),
        (".webm", {}, "vp9", "yuv420p"),
        (".webm", {"width": 63, "height": 47}, "vp9", "yuv420p"),
        (".webm", {"pix_fmt": "yuv420p10le", "bits": 10}, "libdav1d", "yuv420p10le"),
        (".apng", {"pix_fmt": "rgb24"}, "apng", "rgb24"),
        (".mpg", {}, "mpeg2video", "yuv420p"),
        (".avi", {}, "h264", "yuv420p"),
        (".ts", {}, "h264", "yuv420p"),
    ],
)
def test_what_each_container_gets(suffix, made, codec, pix_fmt, tmp_path):
    made = info(**made)
    path = tmp_path / f"out{suffix}"
    write(path, moving(6, made.height, made.width), made)
    with open_reader(path) as reader:
        assert len(list(reader)) == 6
        assert (reader.info.codec, reader.info.pix_fmt) == (codec, pix_fmt)
        assert (reader.info.width, reader.info.height) == (made.width, made.height)


def test_full_range_of_jpeg_formats_is_said(tmp_path):
    write(tmp_path / "out.mp4", moving(2), info(pix_fmt="yuvj420p", colour=Colour(range=2)), **FAST)
    assert probe(tmp_path / "out.mp4").colour.range == 2


def test_transparency_is_kept_or_warned_about(tmp_path):
    made = info(pix_fmt="bgra", alpha=True)
    frames = [
        Frame(time=f.time, rgb=torch.cat([f.rgb, torch.ones(1, 48, 64).tril_()])) for f in moving(3, width=64)
    ]
    assert not write(tmp_path / "out.mkv", frames, made, codec="ffv1")
    assert probe(tmp_path / "out.mkv").alpha
    with open_reader(tmp_path / "out.mkv") as reader:
        np.testing.assert_array_equal(next(iter(reader)).rgb[3], frames[0].rgb[3])
    assert "transparency" in write(tmp_path / "out.mp4", frames, made, **FAST)[0]
    with open_reader(tmp_path / "out.mp4") as reader:
        assert float(next(iter(reader)).rgb[:, 2:20, 40:].max()) < 0.1


@pytest.mark.parametrize(("name", "kept"), [("out.webm", True), ("out.mp4", False), ("out.mkv", False)])
def test_transparency_of_ten_bits_goes_everywhere(name, kept, tmp_path):
    """libx265 and libvpx list formats with alpha that they refuse."""
    made = info(pix_fmt="yuva444p10le", bits=10, alpha=True)
    frames = [Frame(time=f.time, rgb=torch.cat([f.rgb, torch.ones(1, 48, 64).tril_()])) for f in moving(2)]
    said = write(tmp_path / name, frames, made)
    assert any("transparency" in warning for warning in said) != kept
    with open_reader(tmp_path / name) as reader:
        assert len(list(reader)) == 2


@pytest.mark.parametrize("encoder", ["h264_nvenc", "hevc_nvenc"])
def test_formats_in_the_memory_of_a_gpu_are_none_of_ours(encoder):
    found = choose(Path("out.mp4"), info(), codec=encoder, crf=None, preset=None, pix_fmt=None)
    assert found.pix_fmt == "yuv420p"
    with pytest.raises(TweenError, match="does not take the pixel format cuda"):
        choose(Path("out.mp4"), info(), codec=encoder, crf=None, preset=None, pix_fmt="cuda")


def test_one_image_holds_no_video(tmp_path):
    for name in ("out.png", "out.webp"):
        refuse(tmp_path / name, "out_%05d")
    for name in ("", "-"):
        with pytest.raises(TweenError, match="no pipes"):
            write(name, moving(2))
    write(tmp_path / "50%done.mp4", moving(2), **FAST)
    assert probe(tmp_path / "50%done.mp4").frames == 2


def test_gif_out_is_timed_in_hundredths_and_warns(tmp_path):
    path = tmp_path / "out.gif"
    assert "1/100" in write(path, moving(13, rate=Fraction(30)), rate=Fraction(30))[0]
    with open_reader(path) as reader:
        frames = list(reader)
    assert [frame.time for frame in frames] == [
        Fraction(round(Fraction(100 * i, 30)), 100) for i in range(13)
    ]
    for made, found in zip(moving(13, rate=Fraction(30)), frames, strict=True):
        assert float((made.rgb - found.rgb[:3]).abs().mean()) < 0.02
    assert not write(path, moving(3), overwrite=True)
    assert "too slowly" in write(path, moving(3, rate=Fraction(60)), rate=Fraction(60), overwrite=True)[0]
    with pytest.raises(TweenError, match="at most 100"):
        write(path, moving(3, rate=Fraction(120)), rate=Fraction(120), overwrite=True)


def test_gif_keeps_its_holes(tmp_path):
    holes = torch.cat([torch.full((3, 48, 64), 0.6), torch.ones(1, 48, 64).tril_()])
    frames = [Frame(time=Fraction(i, 25), rgb=holes) for i in range(2)]
    write(tmp_path / "out.gif", frames, info(pix_fmt="bgra", alpha=True))
    with open_reader(tmp_path / "out.gif") as reader:
        np.testing.assert_array_equal(next(iter(reader)).rgb[3], holes[3])


def refuse(path, match, frames=None, left=(), **options):
    with pytest.raises(TweenError, match=match) as caught:
        write(path, moving(3) if frames is None else frames, **options)
    assert "\n" not in str(caught.value)
    assert "partial" not in str(caught.value)
    assert sorted(p.name for p in Path(path).parent.glob("*") if p.is_file()) == sorted(left)
    assert not list(Path(path).parent.glob(".*partial*"))


def test_mistakes_are_one_sentence_and_leave_nothing(tmp_path):
    refuse(tmp_path / "out.xyz", "no container is called .xyz")
    refuse(tmp_path / "out.mp4", "no video encoder 'nonsense'", codec="nonsense")
    refuse(tmp_path / "out.mp4", "no video encoder 'aac'", codec="aac")
    refuse(tmp_path / "out.mp4", "does not take the pixel format", pix_fmt="rgb24")
    refuse(tmp_path / "out.mp4", "refused", preset="sluggish")
    refuse(tmp_path / "out.mkv", "has no crf", codec="ffv1", crf=18)
    refuse(tmp_path / "out.mkv", "has no preset", codec="ffv1", preset="fast")
    refuse(tmp_path / "out.webm", "webm.*libx264|libx264.*webm", codec="libx264")
    refuse(tmp_path / "out.ogv", "refused")
    refuse(tmp_path / "out.mp4", "above 0", rate=Fraction(0))
    refuse(tmp_path / "out.mp4", "none; nothing was written", frames=[])
    refuse(tmp_path / "out.mp4", "order of time", frames=[*moving(3), *moving(1)])
    refuse(tmp_path / "out.mp4", "expected frames of 64x48", frames=moving(1, 24, 32))
    with pytest.raises(TweenError, match="there is no"):
        write(tmp_path / "nowhere/out.mp4", moving(3))


def test_an_existing_file_is_kept_unless_told(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"precious")
    refuse(path, "exists already", left=["out.mp4"])
    assert path.read_bytes() == b"precious"
    refuse(path, "refused", preset="sluggish", overwrite=True, left=["out.mp4"])
    assert path.read_bytes() == b"precious"
    write(path, moving(3), overwrite=True, **FAST)
    assert probe(path).frames == 3


def test_the_input_is_never_written_over(tmp_path):
    path = tmp_path / "in.mp4"
    write(path, moving(3), **FAST)
    (tmp_path / "link.mp4").symlink_to(path)
    before = path.read_bytes()
    for target in (path, tmp_path / "link.mp4"):
        with pytest.raises(TweenError, match="the input itself"):
            write(target, moving(3), probe(path), source=path, overwrite=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_stopping_midway_leaves_nothing(error, tmp_path):
    def stopped():
        yield from moving(120)
        assert list(tmp_path.glob(".*partial*"))
        raise error

    with pytest.raises(error):
        write(tmp_path / "out.mp4", stopped(), **FAST)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing(tmp_path):
    """A real interrupt of a real process."""
    script = (
        "import itertools; from fractions import Fraction; from tests.video.clips import info, moving\n"
        "from tween.video.write import open_writer\n"
        f"with open_writer({str(tmp_path / 'out.mp4')!r}, info=info(), rate=Fraction(25)) as writer:\n"
        "    for i, frame in enumerate(moving(10**6)):\n"
        "        writer.write(frame)\n"
        "        if i == 120: print('going', flush=True)\n"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=root,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in a background process
    )
    assert process.stdout.readline() == b"going\n"
    assert list(tmp_path.iterdir())
    process.send_signal(2)
    assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.gif", "frames/%03d.png"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(name, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = (Frame(time=Fraction(i, 25), rgb=torch.rand(3, 48, 64)) for i in range(100))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(TweenError, match="disk is full"):
            write(path, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_device_without_space_is_a_full_disk(tmp_path, monkeypatch):
    def full(self, *args):
        raise av.error.OSError(errno.ENOSPC, "No space left on device", "x")

    monkeypatch.setattr("tween.video.write.VideoWriter._mux", full)
    refuse(tmp_path / "out.mp4", "disk is full")


def resident() -> float:
    """Mebibytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is measured through /proc")
def test_memory_stays_flat_over_ten_thousand_frames(tmp_path):
    made = info(width=32, height=32, rate=Fraction(60))
    still = torch.rand(3, 32, 32)
    frames = (Frame(time=Fraction(i, 60), rgb=still.roll(i, 2)) for i in range(10_000))
    write(tmp_path / "a.mp4", frames, made, **FAST)
    held = []
    with (
        open_reader(tmp_path / "a.mp4") as reader,
        open_writer(
            tmp_path / "b.mp4", info=reader.info, rate=made.rate, source=tmp_path / "a.mp4", **FAST
        ) as writer,
    ):
        for i, frame in enumerate(reader):
            writer.write(frame)
            if i % 1000 == 999:
                held.append(resident())
    assert i == 9999
    assert held[-1] - held[1] < 3


@pytest.mark.parametrize(
    ("name", "codec", "told"),
    [("a.mp4", "libsvtav1", 2), ("a.mkv", "libx264", 2), ("a.webm", "libvpx-vp9", 1), ("a.webm", "libsvtav1", 1),
    ("a.mkv", "ffv1", 1)],
)  # fmt: skip
def test_a_lost_pixel_shape_is_told(name, codec, told, tmp_path):
    with open_writer(tmp_path / name, info=info(sar=Fraction(2)), rate=Fraction(25), codec=codec) as writer:
        for frame in moving(2):
            writer.write(frame)
    assert probe(tmp_path / name).sar == told
    assert [("distorted" in text) for text in writer.warnings] == [True] * (told != 2)


def test_a_pixel_shape_within_rounding_is_not_lost(tmp_path):
    with open_writer(tmp_path / "a.webm", info=info(sar=Fraction(65, 64)), rate=Fraction(25)) as writer:
        for frame in moving(2):
            writer.write(frame)
    assert writer.warnings == []
