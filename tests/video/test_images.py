"""Image sequences in and out."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from tests.video.clips import info, moving
from tween.core import Frame, TweenError
from tween.video.images import numbered
from tween.video.read import open_reader, probe
from tween.video.write import open_writer


def write(path, frames, made=None, **options):
    with open_writer(path, info=made or info(), rate=Fraction(10), **options) as writer:
        for frame in frames:
            writer.write(frame)


@pytest.mark.parametrize(
    ("suffix", "bits", "worst"), [("png", 8, 0.51 / 255), ("png", 16, 0.51 / 65535), ("webp", 8, 0.51 / 255),
    ("jpg", 8, 0.04), ("jpeg", 8, 0.04), ("tiff", 16, 0.51 / 65535), ("bmp", 8, 0.51 / 255)],
)  # fmt: skip
def test_a_pattern_goes_out_and_comes_in(suffix, bits, worst, tmp_path):
    pattern = tmp_path / f"shot_%04d.{suffix}"
    made = list(moving(3))
    write(pattern, made, info(bits=bits))
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"shot_{i:04d}.{suffix}" for i in (1, 2, 3)]
    with open_reader(pattern, rate=Fraction(10)) as reader:
        found = list(reader)
        assert reader.info.bits == bits
        assert reader.end == Fraction(3, 10)
    assert [frame.time for frame in found] == [Fraction(i, 10) for i in range(3)]
    for a, b in zip(made, found, strict=True):
        assert float((a.rgb - b.rgb).abs().max()) <= worst


def test_a_folder_goes_out_and_comes_in(tmp_path):
    write(tmp_path / "frames", moving(2))
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == ["000001.png", "000002.png"]
    (tmp_path / "frames/notes.txt").write_text("not a picture")
    (tmp_path / "frames/folder.png").mkdir()
    found = probe(tmp_path / "frames")
    assert (found.frames, found.rate, found.width, found.height) == (2, 25, 64, 48)
    with pytest.raises(TweenError, match="exists already"):
        write(tmp_path / "frames", moving(2))
    for n in (3, 1):
        write(tmp_path / "frames", moving(n), overwrite=True)
        assert probe(tmp_path / "frames").frames == n
    assert (tmp_path / "frames/notes.txt").exists()


def test_images_that_are_there_are_kept_unless_told(tmp_path):
    write(tmp_path / "a%d.png", moving(2))
    with pytest.raises(TweenError, match=r"a1\.png exists already"):
        write(tmp_path / "a%d.png", moving(1))
    assert len(list(tmp_path.iterdir())) == 2
    write(tmp_path / "b%d.png", moving(1))
    write(tmp_path / "a%d.png", moving(1), overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a1.png", "b1.png"]


def test_alpha_is_kept(tmp_path):
    holes = torch.cat([torch.rand(3, 8, 8), torch.rand(1, 8, 8)])
    write(
        tmp_path / "%d.png",
        [Frame(time=Fraction(0), rgb=holes)],
        info(width=8, height=8, bits=16, alpha=True),
    )
    with open_reader(tmp_path / "%d.png") as reader:
        frame = next(iter(reader))
    assert float((frame.rgb - holes).abs().max()) < 1 / 65535


def test_numbers_decide_the_time_and_gaps_are_gaps(tmp_path):
    for number in (7, 8, 10, 11):
        cv2.imwrite(str(numbered(tmp_path / "f%03d.png", number)), np.full((4, 6, 3), number, np.uint8))
    with open_reader(tmp_path / "f%03d.png", rate=Fraction(30000, 1001)) as reader:
        found = list(reader)
        assert "1 numbers are missing" in reader.warnings[0]
        assert reader.info.duration == reader.end == 5 * Fraction(1001, 30000)
    assert [frame.time for frame in found] == [i * Fraction(1001, 30000) for i in (0, 1, 3, 4)]
    assert [round(float(frame.rgb[0, 0, 0]) * 255) for frame in found] == [7, 8, 10, 11]


def test_a_folder_is_read_in_the_order_people_count(tmp_path):
    for i, name in enumerate(["a2.png", "a9.png", "a10.png", "a100.png"]):
        cv2.imwrite(str(tmp_path / name), np.full((2, 2, 3), 10 * i, np.uint8))
    with open_reader(tmp_path, start=Fraction(1, 25), stop=Fraction(3, 25)) as reader:
        assert [round(float(frame.rgb[0, 0, 0]) * 255) for frame in reader] == [10, 20]
        assert reader.end == Fraction(3, 25)


def test_colour_order_is_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.full((2, 2, 3), (0, 0, 255), np.uint8))  # OpenCV: blue first
    with open_reader(tmp_path / "1.png") as reader:
        assert next(iter(reader)).rgb[:, 0, 0].tolist() == [1, 0, 0]
        assert reader.info.frames == 1


def test_grey_pictures_become_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.full((2, 3), 1000, np.uint16))
    with open_reader(tmp_path / "%d.png") as reader:
        assert next(iter(reader)).rgb.shape == (3, 2, 3)
        assert reader.info.bits == 16


def test_images_become_a_video_and_back(tmp_path):
    write(tmp_path / "in_%d.png", moving(4))
    with open_reader(tmp_path / "in_%d.png", rate=Fraction(10)) as reader:
        write(tmp_path / "out.mp4", reader, reader.info, crf=5)
    with open_reader(tmp_path / "out.mp4") as reader:
        assert (reader.info.colour.matrix, reader.info.colour.range) == (1, 1)
        for made, found in zip(moving(4, rate=Fraction(10)), reader, strict=True):
            assert made.time == found.time
            assert float((made.rgb - found.rgb).abs().max()) < 0.04


def test_mistakes_are_one_sentence(tmp_path):
    (tmp_path / "bad1.png").write_bytes(b"nonsense")
    cv2.imwrite(str(tmp_path / "size1.png"), np.zeros((4, 4, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "size2.png"), np.zeros((4, 5, 3), np.uint8))
    for path, match in [
        ("bad%d.png", "cannot be read"),
        ("size%d.png", "one size"),
        ("none%d.png", "there are none"),
        ("missing.png", "no file"),
    ]:
        with pytest.raises(TweenError, match=match), open_reader(tmp_path / path) as reader:
            list(reader)
    with pytest.raises(TweenError, match="above 0"):
        probe(tmp_path / "size%d.png", rate=Fraction(-1))
    (tmp_path / "size2.png").unlink()
    with (
        pytest.raises(TweenError, match="none there"),
        open_reader(tmp_path / "size%d.png", start=9) as reader,
    ):
        list(reader)


def test_stopping_midway_leaves_nothing(tmp_path):
    def stopped():
        yield from moving(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "%d.png", stopped())
    with pytest.raises(TweenError, match="nothing was written"):
        write(tmp_path / "%d.png", [])
    assert not list(tmp_path.iterdir())
