"""Training clips decoded to arrays: whole, shrunk, once."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.data.made import clip, picture
from tween.core import TweenError
from tween.video.bulk import decode, halve, pack


@pytest.fixture
def paths(tmp_path):
    photo = tmp_path / "photos" / "one.png"
    photo.parent.mkdir()
    Image.fromarray(picture(0)).save(photo)
    return [clip(tmp_path / "in" / "a.avi", n=4), photo]


def test_decoded_frames_are_rgb_in_order(paths):
    frames = decode(paths[0], 540)
    assert frames.shape == (4, 96, 128, 3)
    assert frames.dtype == np.uint8
    for i, frame in enumerate(frames):
        assert cv2.PSNR(frame, picture(2 * i)) > 25  # JPEG keeps colour at half size
        assert cv2.PSNR(frame, picture(2 * i)) > cv2.PSNR(frame, picture(2 * i + 2)) + 3
        assert cv2.PSNR(frame, picture(2 * i)) > cv2.PSNR(frame, picture(2 * i)[..., ::-1].copy()) + 3


@pytest.mark.parametrize(
    ("size", "expected"), [((96, 128), (48, 64)), ((128, 96), (64, 48)), ((48, 64), (48, 64))]
)
def test_the_shorter_side_is_at_most_the_lines_asked_for(tmp_path, size, expected):
    path = clip(tmp_path / "a.avi", n=1, h=size[0], w=size[1])
    assert decode(path, 48).shape == (1, *expected, 3)


def test_halve_is_the_mean_of_four():
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 6, 3), np.uint8)
    mean = frames.reshape(2, 4, 2, 3, 2, 3).mean((2, 4))
    assert np.abs(halve(frames) - mean).max() <= 0.5
    assert halve(frames[:, :7, :5]).shape == (2, 3, 2, 3)


def test_pack(paths, tmp_path):
    targets = pack(paths, tmp_path / "packed", 48, 1)
    assert [np.load(t).shape for t in targets] == [(4, 48, 64, 3), (1, 48, 64, 3)]
    assert cv2.PSNR(np.load(targets[1])[0], cv2.resize(picture(0), (64, 48), interpolation=3)) > 60
    assert set((tmp_path / "packed").iterdir()) == set(targets)


def test_pack_decodes_only_what_is_missing(paths, tmp_path):
    first, second = pack(paths, tmp_path / "packed", 48, 1)
    before = first.stat().st_mtime_ns
    second.unlink()
    assert pack(paths, tmp_path / "packed", 48, 1) == [first, second]
    assert first.stat().st_mtime_ns == before
    assert second.exists()
    for path in paths:
        path.unlink()
    assert pack(paths, tmp_path / "packed", 48, 1) == [first, second]


def test_a_half_written_file_is_not_taken_for_a_whole_one(paths, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()
    for name in ("in_a.avi.part.npy", "in_a.avi.123.part.npy"):  # of processes that were lost
        (packed / name).write_bytes(b"cut short")
    first, _ = pack(paths, packed, 48, 1)
    assert np.load(first).shape == (4, 48, 64, 3)
    assert not list(packed.glob("*.part*"))


def test_clips_of_one_name_in_folders_of_one_name_stay_apart(tmp_path):
    paths = [tmp_path / side / "in" / "a.png" for side in ("left", "right")]
    for value, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        Image.new("RGB", (6, 4), (value, 0, 0)).save(path)
    assert [int(np.load(array)[0, 0, 0, 0]) for array in pack(paths, tmp_path / "packed", 48, 1)] == [0, 1]


def test_two_processes_may_decode_the_same_clips_at_once(paths, tmp_path, monkeypatch):
    packed, real, nested = tmp_path / "packed", np.save, []

    def late(part, frames):
        """The other process begins and ends while this one writes."""
        real(part, frames)
        if not nested:
            nested.append(part)
            with monkeypatch.context() as other:
                other.setattr("tween.video.bulk.os.getpid", lambda: 123)
                pack(paths, packed, 48, 1)

    monkeypatch.setattr(np, "save", late)
    assert all(np.load(array).shape[1:] == (48, 64, 3) for array in pack(paths, packed, 48, 1))
    assert sorted(p.name for p in packed.iterdir()) == ["in_a.avi.npy", "photos_one.png.npy"]


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_what_is_no_picture_at_all_is_refused_and_leaves_nothing(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"neither a video nor a picture")
    with pytest.raises(TweenError, match="no frame"):
        pack([path], tmp_path / "packed", 48, 1)
    assert not list((tmp_path / "packed").iterdir())
