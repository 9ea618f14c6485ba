"""Sound, subtitles, chapters, attachments and tags travel along."""

from fractions import Fraction

import av
import pytest

from tests.video.clips import packets, with_streams
from tween.core import Frame
from tween.video.read import open_reader, probe
from tween.video.words import _plain
from tween.video.write import open_writer


def remade(source, path, **options):
    """The clip with every picture doubled, and the warnings."""
    part = {key: options[key] for key in ("start", "stop") if key in options}
    with open_reader(source, **part) as reader:
        rate = 2 * reader.info.rate
        with open_writer(
            path,
            info=reader.info,
            rate=rate,
            source=source,
            preset=options.pop("preset", "ultrafast"),
            **options,
        ) as writer:
            for frame in reader:
                writer.write(frame)
                writer.write(Frame(time=frame.time + 1 / rate, rgb=frame.rgb, source=False))
    return writer.warnings


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return with_streams(tmp_path_factory.mktemp("streams") / "in.mkv")


def test_everything_is_copied_where_the_container_holds_it(clip, tmp_path):
    path = tmp_path / "out.mkv"
    assert remade(clip, path) == []
    assert packets(path, "audio") == packets(clip, "audio")
    assert packets(path, "subtitle") == packets(clip, "subtitle")
    with av.open(str(clip)) as before, av.open(str(path)) as after:
        assert [s.type for s in after.streams] == ["video", "audio", "audio", "subtitle", "attachment"]
        assert [s.language for s in after.streams.audio] == ["eng", "deu"]
        assert after.streams.attachments[0].data == before.streams.attachments[0].data
        assert after.streams.attachments[0].name == "letters.ttf"
        assert [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]) for c in after.chapters()
        ] == [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]) for c in before.chapters()
        ]
        assert after.metadata["title"] == "a clip"


def test_what_the_container_cannot_hold_is_named(clip, tmp_path):
    words, letters = remade(clip, tmp_path / "out.mp4")
    assert words.startswith("subtitle stream 3 (subrip) was turned into plain mov_text")
    assert letters.startswith("attachment stream 4 (letters.ttf) was left out: mp4 cannot hold it")
    assert [[data for _, data in s] for s in packets(tmp_path / "out.mp4", "audio")] == [
        [data for _, data in s] for s in packets(clip, "audio")
    ]
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert [chapter["metadata"]["title"] for chapter in out.chapters()] == ["first", "second"]


def words(path):
    """(seconds after the first picture, seconds, words) of the subtitles."""
    start = probe(path).start
    with av.open(str(path)) as container:
        return [
            (
                round(float(p.pts * p.time_base - start), 3),
                float(p.duration * p.time_base),
                p.decode()[0].dialogue,
            )
            for p in container.demux(container.streams.subtitles[0])
            if p.size > 2
        ]


def test_text_subtitles_change_their_form_and_nothing_else(clip, tmp_path):
    lines = [(0.1, 0.5, b"line 0"), (1.1, 0.5, b"line 1")]
    assert words(clip) == lines
    remade(clip, tmp_path / "there.mp4")
    assert words(tmp_path / "there.mp4") == lines
    remade(tmp_path / "there.mp4", tmp_path / "back.mkv")
    assert words(tmp_path / "back.mkv") == lines


def test_styled_words_become_plain():
    assert _plain(rb"3,0,Default,,0,0,0,,{\i1}Hello,{\i0} you\Nthere", "ass") == "Hello, you\nthere"
    assert _plain("<i>Grüße</i> 3 < 4".encode(), "subrip") == "Grüße 3 < 4"
    assert _plain(b"\x00\x02hi\x00\x00\x00\x0cstyl", "mov_text") == "hi"


def test_sound_that_cannot_be_copied_is_encoded_anew(clip, tmp_path):
    path = tmp_path / "out.webm"
    warnings = remade(clip, path, preset=None)
    assert sum("encoded anew as libopus" in w for w in warnings) == 2
    with av.open(str(path)) as out:
        assert [s.codec_context.name for s in out.streams.audio] == ["opus", "opus"]
        found = [f.samples for f in out.decode(out.streams.audio[1])]
    assert sum(found) == pytest.approx(96000, abs=2000)


@pytest.mark.parametrize("name", ["vfr_568x320_audio_cat.mp4", "rotation_90_metadata_nasa.mp4"])
def test_real_sound_is_the_same_packet_for_packet(name, shared, tmp_path):
    source, path = shared / "videos" / name, tmp_path / "out.mp4"
    remade(source, path, time_base=Fraction(1, 90000))
    assert packets(path, "audio") == packets(source, "audio")
    for before, after in zip(packets(source, "subtitle"), packets(path, "subtitle"), strict=True):
        assert after[: len(before)] == before
        assert all(
            data == bytes(2) for _, data in after[len(before) :]
        )  # MP4 ends a track of words with a blank
    before, after = probe(source), probe(path)
    assert after.start == before.start
    assert abs(after.duration - before.duration) < 1 / after.rate


def _without_adts(data: bytes) -> bytes:
    """AAC in MPEG-TS has a header of 7 bytes on every packet, which other containers keep once for all."""
    return data[7:] if data.startswith(b"\xff\xf1") else data


@pytest.mark.parametrize("name", ["mpegts_starts_without_keyframe.ts", "mpeg1_mp2_128x128.mpg"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pictures_and_sound_keep_their_distance(name, suffix, shared, tmp_path):
    source, path = shared / "videos" / name, tmp_path / f"out{suffix}"
    remade(source, path)
    before, after = packets(source, "audio")[0], packets(path, "audio")[0]
    assert [data for _, data in after] == [_without_adts(data) for _, data in before]
    apart = probe(source).start - before[0][0]
    assert float(probe(path).start - after[0][0]) == pytest.approx(float(apart), abs=0.0011)
    assert 0 <= float(after[0][0]) < 0.05


def test_a_part_has_the_sound_of_that_part(clip, tmp_path):
    path = tmp_path / "out.mkv"
    remade(clip, path, start=Fraction(1, 2), stop=Fraction(3, 2))
    source = packets(clip, "audio")[0]
    inside = [data for time, data in source if Fraction(1, 2) <= time < Fraction(3, 2)]
    found = packets(path, "audio")[0]
    assert [data for _, data in found] == inside
    assert 0 <= found[0][0] < Fraction(1, 40)
    assert probe(path).start < Fraction(1, 25)
    assert [data for _, data in packets(path, "subtitle")[0]] == [b"line 1"]
    with av.open(str(path)) as out:
        spans = [(c["metadata"]["title"], float(c["start"] * c["time_base"])) for c in out.chapters()]
    assert spans == [("first", 0), ("second", pytest.approx(0.3))]


def test_slow_motion_leaves_the_sound_out_and_says_so(clip, tmp_path):
    warnings = remade(clip, tmp_path / "out.mkv", stretch=Fraction(4))
    assert any("fit slowed pictures: sound" in w for w in warnings)
    found = probe(tmp_path / "out.mkv")
    assert [line.split()[1] for line in found.streams] == ["video"]
    assert found.metadata["title"] == "a clip"
    assert not remade(
        tmp_path / "out.mkv", tmp_path / "again.mkv", stretch=Fraction(4)
    )  # nothing to leave out


def test_packets_are_interleaved_while_streaming(tmp_path):
    """Sound is muxed as the pictures go, not all of it at one end."""
    source, path = with_streams(tmp_path / "long.mkv", seconds=12), tmp_path / "out.mp4"
    remade(source, path)
    with av.open(str(path)) as out:
        place = {"video": [], "audio": []}
        for packet in out.demux(video=0, audio=0):
            if packet.size:
                place[packet.stream.type].append((packet.pos, packet.pts * packet.time_base))
    sound = sorted(place["audio"])
    for pos, time in place["video"][::25]:
        before = [t for p, t in sound if p < pos]
        assert not before or abs(before[-1] - time) < 2
