"""Every real clip decodes with exact times; what is no video gives one sentence."""

import csv
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from PIL import Image

from tests.video.clips import info, moving, tone
from tween.core import TweenError
from tween.video.read import open_reader, probe
from tween.video.write import open_writer

CLIPS = {
    "anamorphic_sar_2x1.mp4": 150,
    "audio_aac_h264_25fps_tiny_320x180.mp4": 325,
    "av1_10bit_hdr_426x240.webm": 600,
    "gif_newtonscradle.gif": 36,
    "hdr_10bit_hevc_nasa_320x180.mp4": 325,
    "hevc_600x338_long_62s.mp4": 2061,
    "mpeg1_mp2_128x128.mpg": 100,
    "mpegts_starts_without_keyframe.ts": 15,
    "no_duration_header.webm": 74,
    "nonzero_start_time_200x112.mp4": 12,
    "odd_321x241_444_10bit_h264.mp4": 25,
    "odd_321x241_vp9_10bit.mp4": 25,
    "rotation_-90_10bit_hevc_1080p60_iphone_6frames.mp4": 6,
    "rotation_90_metadata_nasa.mp4": 325,
    "scene_cuts_640x272_25fps.mp4": 250,
    "short_36frames_320x240_audio.mp4": 36,
    "theora_ogg_fps_unknown_400x300.ogv": 160,
    "vertical_1080x1920_phone_audio.mp4": 65,
    "vfr_568x320_audio_cat.mp4": 149,
}


@pytest.fixture(scope="session")
def manifest(shared):
    with open(shared / "videos/manifest.csv", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_the_list_of_clips_is_complete(manifest):
    assert set(manifest) == set(CLIPS)


@pytest.mark.parametrize("name", CLIPS)
def test_real_clip_decodes_whole_with_exact_times(name, shared, manifest):
    row, path = manifest[name], shared / "videos" / name
    limit = Fraction(4) if name.startswith("hevc_600") else None
    with open_reader(path, stop=limit) as reader:
        times = []
        for frame in reader:
            assert frame.rgb.shape == (3, int(row["h"]), int(row["w"]))
            assert frame.source
            times.append(frame.time)
        assert 0 <= float(frame.rgb.min()) <= float(frame.rgb.max()) <= 1
        found, end, warnings = reader.info, reader.end, reader.warnings
    assert len(times) == (CLIPS[name] if limit is None else 96)
    assert all(a < b for a, b in pairwise(times))
    assert times[0] == found.start
    assert times[-1] < end < times[-1] + Fraction(1, 5)
    assert not warnings
    assert (found.width, found.height) == (int(row["w"]), int(row["h"]))
    with av.open(str(path)) as container:  # the times are the decoder's own, as fractions
        stamps = [f.pts * f.time_base for f, _ in zip(container.decode(video=0), times, strict=False)]
    assert times == stamps


def test_what_real_clips_say_about_themselves(shared):
    def told(name):
        return probe(shared / "videos" / name)

    assert told("rotation_90_metadata_nasa.mp4").rotation == 90
    assert told("rotation_-90_10bit_hevc_1080p60_iphone_6frames.mp4").rotation == -90
    assert told("anamorphic_sar_2x1.mp4").sar == 2
    hdr = told("hdr_10bit_hevc_nasa_320x180.mp4")
    assert (hdr.bits, hdr.colour.matrix, hdr.colour.primaries, hdr.colour.transfer) == (10, 9, 9, 16)
    assert told("mpeg1_mp2_128x128.mpg").colour.location == 2
    assert told("hevc_600x338_long_62s.mp4").rate == Fraction(24000, 1001)
    assert told("nonzero_start_time_200x112.mp4").start == Fraction(127995, 15360)
    assert told("nonzero_start_time_200x112.mp4").origin == 0
    assert told("mpegts_starts_without_keyframe.ts").origin == Fraction(112711, 1000)
    assert told("theora_ogg_fps_unknown_400x300.ogv").rate == 30
    assert told("no_duration_header.webm").duration is None
    assert told("gif_newtonscradle.gif").duration == Fraction(41, 50)
    assert told("vfr_568x320_audio_cat.mp4").streams[1] == "1 audio aac 44100 Hz mono (und)"
    assert not told("scene_cuts_640x272_25fps.mp4").interlaced


@pytest.mark.parametrize(
    "name", ["vfr_568x320_audio_cat.mp4", "mpeg1_mp2_128x128.mpg", "theora_ogg_fps_unknown_400x300.ogv"]
)
@pytest.mark.parametrize(("start", "stop"), [(1, 2), (Fraction(17, 10), None), (None, Fraction(1, 2))])
def test_a_part_is_what_the_whole_has_there(name, start, stop, shared):
    path = shared / "videos" / name
    with open_reader(path) as reader:
        base = reader.info.start
        whole = {frame.time: frame.rgb for frame in reader}
        whole_end = reader.end
    with open_reader(path, start=start, stop=stop) as reader:
        part = {frame.time: frame.rgb for frame in reader}
        end = reader.end
    expected = [t for t in whole if (start or 0) <= t - base and (stop is None or t - base < stop)]
    assert list(part) == expected
    assert end == (whole_end if stop is None else base + stop)
    assert all((part[t] == whole[t]).all() for t in expected)


def test_gif_keeps_its_holes_and_delays(tmp_path):
    path = tmp_path / "holes.gif"
    frames = [Image.new("RGBA", (8, 6), (0, 0, 0, 0)) for _ in range(3)]
    for i, frame in enumerate(frames):
        frame.paste((250, 0, 0, 255), (i, 0, i + 3, 6))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[50, 200, 70], loop=0, disposal=2)
    with open_reader(path) as reader:
        found = list(reader)
        assert reader.info.alpha
        assert reader.end == Fraction(32, 100)
    assert [frame.time for frame in found] == [0, Fraction(5, 100), Fraction(25, 100)]
    assert found[1].rgb.shape == (4, 6, 8)
    assert found[1].rgb[3, 0].tolist() == [0, 1, 1, 1, 0, 0, 0, 0]
    assert float(found[1].rgb[0, 0, 1]) > 0.9


def refuse(path, match, **options):
    with pytest.raises(TweenError, match=match) as caught, open_reader(path, **options) as reader:
        list(reader)
    assert "\n" not in str(caught.value)


def test_what_is_no_video_is_one_sentence(tmp_path):
    refuse(tmp_path / "nothing.mp4", "no file")
    (tmp_path / "empty.mp4").touch()
    refuse(tmp_path / "empty.mp4", "is empty")
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    refuse(tmp_path / "noise.mp4", "cannot be read")
    (tmp_path / "letter.txt").write_text("dear reader " * 200)
    refuse(tmp_path / "letter.txt", "text file|cannot be read")
    with av.open(str(tmp_path / "sound.m4a"), "w") as out:
        sound = out.add_stream("aac", rate=48000)
        sound.layout = "stereo"
        tone(out, sound, 1)
    refuse(tmp_path / "sound.m4a", "no pictures, only audio")
    (tmp_path / "folder").mkdir()
    refuse(tmp_path / "folder", "holds none")


def test_part_without_frames_is_refused(shared):
    path = shared / "videos/short_36frames_320x240_audio.mp4"
    refuse(path, "none there", start=Fraction(100))
    refuse(path, "after the start", start=Fraction(2), stop=Fraction(1))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6])
def test_a_file_cut_short_is_not_taken_for_whole(suffix, kept, tmp_path):
    """MP4 with its index in front, and Matroska."""
    whole = tmp_path / f"whole{suffix}"
    with av.open(
        str(whole), "w", container_options={"movflags": "faststart"} if suffix == ".mp4" else {}
    ) as out:
        video = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "1"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for frame in moving(100):
            rgb = (frame.rgb.permute(1, 2, 0) * 255).byte().contiguous().numpy()
            out.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")))
        out.mux(video.encode(None))
    data = whole.read_bytes()
    short = tmp_path / f"short{suffix}"
    short.write_bytes(data[: int(len(data) * kept)])
    refuse(short, "cut short|damaged|cannot be read")


def test_frames_without_increasing_times_are_left_out(tmp_path):
    path = tmp_path / "twice.mkv"
    with open_writer(path, info=info(), rate=Fraction(25)) as writer:
        for frame in moving(10):
            writer.write(frame)
    with open_reader(path) as reader:
        decoded = reader._decoded

        def stuttering():
            for time, picture in decoded():
                yield time, picture
                yield time - Fraction(1, 1000), picture

        reader._decoded = stuttering
        assert len(list(reader)) == 10
        assert "do not increase" in reader.warnings[0]
