"""What training sets draw: which frames, at which t, and that a state of the generator gives one sample."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.data.layouts import number, texture, two_shots, video, vimeo, write, xtrain
from tests.data.test_augment import error
from tween.core import TweenError
from tween.data import DATASETS, videos
from tween.data.augment import reverse
from tween.data.check import look
from tween.data.clips import read_shots
from tween.data.source import Sample


def g(seed):
    return torch.Generator().manual_seed(seed)


def train(name, root):
    return DATASETS[name].train(root)


def forwards(sample, read):
    """What `read` makes of the three frames, in order of time, and t along that order."""
    a, b, c = (read(frame) for frame in sample.frames)
    return ((a, b, c), sample.t) if a < c else ((c, b, a), 1 - sample.t)


def red(frame):
    """Of a picture of one colour (r, 100, 200), whichever way round its channels are."""
    first, middle, last = frame[:, 0, 0].tolist()
    assert middle == 100
    return first if last == 200 else last


def test_vimeo_draws_its_training_list_at_the_middle(tmp_path):
    source = train("vimeo", vimeo(tmp_path))
    assert len(source) == 2
    assert source.name(1) == f"{tmp_path}/sequences/00001/0002"
    drawn = [source.draw(i % 2, (64, 96), g(i)) for i in range(20)]
    assert {forwards(s, red) for s in drawn} == {((10, 20, 30), 0.5)}
    assert {s.frames.shape for s in drawn} == {(3, 3, 64, 96)}
    assert {s.frames.dtype for s in drawn} == {torch.uint8}
    assert len({s.frames.numpy().tobytes() for s in drawn}) > 2


def test_septuplets_draw_any_three_at_their_true_t(tmp_path):
    source = train("vimeo-septuplet", vimeo(tmp_path, frames=7, size=(64, 48)))
    seen = set()
    for seed in range(400):
        (a, b, c), t = forwards(source.draw(seed % 2, (32, 32), g(seed)), red)
        assert t == pytest.approx((b - a) / (c - a))
        seen.add((a, b, c))
    assert len(seen) == 35


def test_septuplets_halfway(tmp_path):
    source = replace(train("vimeo-septuplet", vimeo(tmp_path, frames=7, size=(64, 48))), halfway=True)
    drawn = [forwards(source.draw(seed % 2, (32, 32), g(seed)), red) for seed in range(200)]
    assert {t for _, t in drawn} == {0.5}
    assert {2 * b - a - c for (a, b, c), _ in drawn} == {0}
    assert len({frames for frames, _ in drawn}) == 9  # all there are: five, three and one by their distance


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Frame n of the first clip is of red n; the second is an mp4 that tells its numbers."""
    root = tmp_path_factory.mktemp("x4k")
    for n in range(65):
        write(root / "train/002/occ008.320" / f"{n:04d}.png", (48, 40), n)
    video(root / "train/003/occ000.1.mp4")
    return root


@pytest.mark.parametrize("index", [0, 1])
def test_x_train_strides_and_true_times(clips, index):
    source = train("x4k", clips)
    assert [source.name(i).rsplit("/", 1)[1] for i in (0, 1)] == ["occ008.320", "occ000.1.mp4"]
    strides, halves = set(), 0
    for seed in range(200 if index == 0 else 40):
        size, read = (((32, 32), red), ((48, 64), upper))[index]
        (a, b, c), t = forwards(source.draw(index, size, g(seed)), read)
        assert t == pytest.approx((b - a) / (c - a))
        assert 0 <= a < b < c <= 64
        strides.add(c - a)
        halves += 2 * (b - a) - (c - a) in (-1, 0, 1)
    assert min(strides) >= 8
    assert max(strides) <= 32
    if index == 0:
        assert strides == set(range(8, 33))
        assert 80 < halves < 150


def upper(frame):
    """The number of a whole frame: half of it is grey."""
    values = frame.float().flatten(1)
    level = values.mode(1).values.mean()
    return round((float(level) - 30) / 3)


def test_x_train_motion_grows_with_the_stride(tmp_path):
    source = train("x4k", xtrain(tmp_path, clips=["002/occ008.320"]))
    sample = source.draw(0, (32, 32), g(3))
    assert not torch.equal(sample.frames[0], sample.frames[1])


def test_x_train_with_one_level_of_folders_is_refused(tmp_path):
    for n in range(3):
        write(tmp_path / f"train/002/{n:04d}.png")
    with pytest.raises(TweenError, match=r"<scene>/<clip>/0000\.png .* two levels"):
        train("x4k", tmp_path)


@pytest.mark.parametrize("folder", ["", "encoded_train"])
def test_x_train_as_it_ships(tmp_path, folder):
    video(tmp_path / "encoded_train/003/occ000.1.mp4")
    assert len(train("x4k", tmp_path / folder)) == 1


def test_a_clip_that_is_too_short_names_itself(tmp_path):
    source = train("x4k", video(tmp_path / "train/003/a.mp4", n=5).parents[2])
    with pytest.raises(TweenError, match=r"003/a\.mp4 should have \d+ frames or more, but has 5"):
        source.draw(0, (32, 32), g(0))


@pytest.mark.parametrize(("name", "file"), [("vimeo", "sequences/00001/0001/im2.png")])
def test_a_picture_that_is_missing_or_broken_is_named(tmp_path, name, file):
    source = train(name, vimeo(tmp_path))
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:60])
    with pytest.raises(TweenError, match=r"im2\.png should be a picture, but cannot be read"):
        source.draw(0, (32, 32), g(0))
    (tmp_path / file).unlink()
    with pytest.raises(TweenError, match=r"im2\.png should be a picture, but is not there"):
        source.draw(0, (32, 32), g(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video with a cut after frame 20, and one whose rate varies."""
    root = tmp_path_factory.mktemp("videos")
    two_shots(root / "in" / "a.mp4")
    video(root / "b.mkv", 12, times=[Fraction(n * n, 50) for n in range(12)])
    return root


def test_windows_never_cross_a_cut(folder):
    source = train("folder", folder)
    assert [(s.file, s.start, s.count) for s in source.shots] == [
        ("b.mkv", 0, 12),
        ("in/a.mp4", 0, 20),
        ("in/a.mp4", 20, 16),
    ]
    assert len(source) == 10 + 18 + 14
    for index in range(10, len(source)):
        for seed in range(3):
            dark = source.draw(index, (32, 32), g(seed)).frames.float().mean((1, 2, 3)) < 120
            assert dark.all() or not dark.any()
    assert source.name(28).endswith("in/a.mp4 at frame 20")


def test_times_are_true_where_the_rate_varies(folder):
    source = train("folder", folder)
    at = [n * n / 50 for n in range(12)]
    for index in range(10):
        (a, b, c), t = forwards(source.draw(index, (48, 64), g(index)), upper)
        assert a == index
        assert t == pytest.approx((at[b] - at[a]) / (at[c] - at[a]), abs=2e-2)


def test_cuts_are_looked_for_once(folder, monkeypatch):
    train("folder", folder)
    listed = read_shots(folder / "shots.csv")
    assert len(listed) == 3
    monkeypatch.setattr("tween.video.shots.find_shots", None)
    assert train("folder", folder).shots == tuple(listed)
    assert not list(folder.glob("*.part"))


def test_a_folder_is_measured_on_the_middle_of_each_shot(folder):
    found = DATASETS["folder"].read(folder)
    assert [s.name for s in found] == ["b.mkv/6", "in/a.mp4/10", "in/a.mp4/28"]
    assert [number(picture * 255) for picture in found[0].load()] == [5, 6, 7]
    assert float(found[0].t) == pytest.approx((36 - 25) / (49 - 25), abs=2e-2)
    assert found[1].t == Fraction(1, 2)


def test_a_list_of_shots_that_is_there_is_taken(folder, tmp_path):
    two_shots(tmp_path / "a.mp4")
    (tmp_path / "shots.csv").write_text(
        "file,start_frame,end_frame_excl,mean_flow_px\na.mp4,4,9,2.0\na.mp4,30,40,2.0\n"
    )
    source = train("folder", tmp_path)
    assert [(s.start, s.count) for s in source.shots] == [(4, 5), (30, 6)]
    (tmp_path / "shots.csv").write_text("file,start_frame,end_frame_excl,mean_flow_px\nb.mp4,4,9,2.0\n")
    with pytest.raises(TweenError, match=r"1 of 1 pictures are missing: b\.mp4"):
        train("folder", tmp_path)
    found = look(DATASETS["folder"].check(tmp_path))
    assert "1 of 1 are missing, the first is " in found.wrong[0]


def test_a_folder_is_checked(folder):
    found = look(DATASETS["folder"].check(folder))
    assert found.found[0] == "2 of 2 videos"
    assert not found.wrong


def test_shots_of_two_frames_hold_no_triple(tmp_path):
    video(tmp_path / "a.mp4", 2)
    for read in (DATASETS["folder"].train, DATASETS["folder"].read):
        with pytest.raises(TweenError, match="three frames or more"):
            read(tmp_path)


def test_a_list_that_cannot_be_kept(tmp_path, monkeypatch):
    two_shots(tmp_path / "a.mp4")
    monkeypatch.setattr(
        videos.Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system"))
    )
    with pytest.raises(TweenError, match=r"shots\.csv, but it cannot be written \(Read-only file system\)"):
        train("folder", tmp_path)


def test_layers_give_exact_flow(tmp_path):
    for name in ("a.jpg", "in/b.png"):
        texture(tmp_path / name, size=(320, 240))
    source = train("layers", tmp_path)
    assert source.store.offset.shape == (2, 2)
    times = set()
    for seed in range(12):
        sample = source.draw(seed, (64, 96), g(seed))
        assert sample.frames.shape == (3, 3, 64, 96)
        assert sample.frames.dtype == torch.uint8
        assert sample.flow.shape == (4, 64, 96)
        times.add(sample.t)
        again = source.draw(99, (64, 96), g(seed))
        assert torch.equal(sample.frames, again.frames)
        assert torch.equal(sample.flow, again.flow)
    assert len(times) > 3
    assert 0.5 in times


def test_flow_of_layers_leads_to_both_frames(tmp_path):
    ramp = np.add.outer(np.arange(240) / 3, np.arange(320) / 3).astype(np.uint8)
    from PIL import Image

    Image.fromarray(np.stack([ramp, ramp, ramp], -1)).save(tmp_path / "a.png")
    source = train("layers", tmp_path)
    found = []
    for seed in range(12):
        sample = source.draw(0, (96, 96), g(seed))
        found.append(error(sample))
        assert error(reverse(sample)) == pytest.approx(found[-1])
        assert error(Sample(sample.frames, sample.t, torch.zeros_like(sample.flow))) > 0
    assert np.median(found) < 4


def test_large_photos_are_stored_at_540_lines(tmp_path):
    write(tmp_path / "a.png", (1600, 1080))
    assert train("layers", tmp_path).store.size[0, 0].tolist() == [540, 800]
