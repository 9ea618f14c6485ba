"""`tween data check`: whole sets pass; wrong layouts, half copies and corrupt files are each one sentence."""

import random
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.layouts import (
    middlebury_other,
    snu_film,
    texture,
    ucf101,
    video,
    vimeo,
    write,
    xiph_clips,
    xtest,
    xtrain,
)
from tween.core import TweenError
from tween.data import DATASETS
from tween.data.check import closed, explained, fault, home, lines, look

LISTS = {"vimeo": (3, "triplets", 51_313, 3_782), "vimeo-septuplet": (7, "septuplets", 64_612, 7_824)}


def check(name, root, **options):
    found = look(explained(DATASETS[name].check)(root), **options)
    assert all("\n" not in line and ".." not in line for line in (*found.found, *found.wrong))
    return found


def as_published(root: Path, frames: int, train: int, test: int) -> None:
    """Lists as long as the published ones; every scene a link to one."""
    names = [f"{1 + i // 1000:05d}/{1 + i % 1000:04d}" for i in range(train + test)]
    vimeo(root, names[:1], (), frames)
    for name in names[1:]:
        (root / "sequences" / name).parent.mkdir(exist_ok=True)
        (root / "sequences" / name).symlink_to(root / "sequences" / names[0])
    kind = {3: "tri", 7: "sep"}[frames]
    (root / f"{kind}_trainlist.txt").write_text("\n".join(names[:train]) + "\n\n")
    (root / f"{kind}_testlist.txt").write_text("\n".join(names[train:]) + "\n\n")


@pytest.mark.long
@pytest.mark.parametrize("name", LISTS)
def test_vimeo_as_published_is_whole(tmp_path, name):
    frames, what, train, test = LISTS[name]
    as_published(tmp_path, frames, train, test)
    found = check(name, tmp_path)
    assert found.found[0] == f"{train:,} of {train:,} training {what}"
    assert found.found[1] == f"{test:,} of {test:,} test {what}"
    assert not found.wrong


@pytest.mark.parametrize("name", LISTS)
def test_vimeo_counts_are_the_published_ones(tmp_path, name):
    frames, what, train, test = LISTS[name]
    found = check(name, vimeo(tmp_path, frames=frames))
    assert found.found[:2] == (f"2 of {train:,} training {what}", f"1 of {test:,} test {what}")
    few, fewer = found.wrong
    assert (
        f"list.txt should have {train:,} training {what}, but has 2; download it again, or train on this part"
        in few
    )
    assert (
        f"list.txt should have {test:,} test {what}, but has 1; download it again, or validate on this part"
        in fewer
    )


def test_a_half_copied_set_says_what_is_missing(tmp_path):
    vimeo(tmp_path)
    for i in (2, 3):
        (tmp_path / f"sequences/00001/0002/im{i}.png").unlink()
    found = check("vimeo", tmp_path)
    assert found.found[0] == "1 of 51,313 training triplets"
    missing = found.wrong[1]
    assert "2 of 6 are missing, the first is " in missing
    assert "00001/0002/im2.png" in missing
    assert (
        "copy the set again, or take out of tri_trainlist.txt what is not whole and train on the" in missing
    )


def draw(name, root):
    source = DATASETS[name].train(root)
    return [
        source.draw(i, (32, 32), torch.Generator().manual_seed(i)).frames.shape for i in range(len(source))
    ]


def test_a_part_of_vimeo_trains_by_a_shorter_list(tmp_path):
    vimeo(tmp_path)
    for path in tmp_path.rglob("im*.png"):
        texture(path)
    (tmp_path / "sequences/00001/0002/im2.png").unlink()
    assert any("are missing" in said for said in check("vimeo", tmp_path).wrong)
    with pytest.raises(TweenError):
        draw("vimeo", tmp_path)
    (tmp_path / "tri_trainlist.txt").write_text("00001/0001\n")
    assert not any("are missing" in said for said in check("vimeo", tmp_path).wrong)
    assert draw("vimeo", tmp_path) == [(3, 3, 32, 32)]


def test_a_part_of_x4k_trains_without_the_clips_that_are_not_whole(tmp_path):
    broken = xtrain(tmp_path) / "train/003/occ000.1"
    few = check("x4k", tmp_path).wrong[0]
    assert (
        "should have 4,408 training clips, but has 2; download it again, or train on this part as it is"
        in few
    )
    for picture in broken.glob("00[0-5]*.png"):
        picture.unlink()
    missing = check("x4k", tmp_path).wrong[1]
    assert missing.endswith(
        "copy the set again, or take out of train what is not whole and train on the rest"
    )
    with pytest.raises(TweenError):
        draw("x4k", tmp_path)
    shutil.rmtree(broken)
    assert not any("are missing" in said for said in check("x4k", tmp_path).wrong)
    assert draw("x4k", tmp_path) == [(3, 3, 32, 32)]


WRONG_LAYOUT = [
    ("vimeo", "should hold sequences and tri_trainlist.txt of Vimeo-90K, but holds a.txt"),
    ("x4k", "should hold train of X4K1000FPS, but holds a.txt"),
    ("snu-film-hard", "should hold test and test-hard.txt of SNU-FILM, but holds a.txt"),
    ("xiph-2k", "should hold BoxingPractice-001.png of Xiph, but holds a.txt"),
    ("middlebury", "should hold other-data and other-gt-interp of Middlebury, but holds a.txt"),
    ("ucf101", "should hold 1/frame_00.png of UCF101, but holds a.txt"),
    ("triplets", "should hold folders with im1, im2 and im3, but has none"),
    ("shards", "should hold shards"),
]


@pytest.mark.parametrize(("name", "sentence"), WRONG_LAYOUT)
def test_a_wrong_layout_is_one_sentence(tmp_path, name, sentence):
    write(tmp_path / "a.txt.png").rename(tmp_path / "a.txt")
    found = check(name, tmp_path)
    assert len(found.wrong) == 1
    assert sentence in found.wrong[0]


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_not_there_or_is_empty(tmp_path, name):
    assert len(check(name, tmp_path / "absent").wrong) == 1
    assert len(check(name, tmp_path).wrong) == 1


def test_a_layout_one_folder_away_is_pointed_at(tmp_path):
    vimeo(tmp_path / "data" / "vimeo90k")
    (said,) = check("vimeo", tmp_path).wrong
    assert said.endswith(f"give {tmp_path / 'data' / 'vimeo90k'}")
    xtrain(tmp_path / "x", clips=["002/occ008.320"])
    (said,) = check("x4k", tmp_path).wrong
    assert said.endswith(f"give {tmp_path / 'x'}")
    ucf101(tmp_path / "sets" / "UCF", count=2)
    (said,) = check("ucf101", tmp_path / "sets").wrong
    assert said.endswith(f"give {tmp_path / 'sets' / 'UCF' / 'ucf101_interp_ours'}")
    assert "should have 379" in check("ucf101", tmp_path / "sets" / "UCF").wrong[0]
    assert (
        home(tmp_path / "data", ("sequences",), "Vimeo-90K", ("vimeo90k",)) == tmp_path / "data" / "vimeo90k"
    )


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(TweenError, match="should be a list of scenes"):
        lines(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("\n a/b \r\n\nc\n\n")
    assert lines(tmp_path / "list.txt") == ["a/b", "c"]


def test_test_sets_that_are_whole(tmp_path):
    sets = {
        "middlebury": (middlebury_other(tmp_path / "m"), "12 of 12 scenes"),
        "ucf101": (ucf101(tmp_path / "u"), "379 of 379 numbered folders"),
        "triplets": (vimeo(tmp_path / "v"), "3 of 3 scenes"),
    }
    for name, (root, line) in sets.items():
        found = check(name, root)
        assert found.found[0] == line
        assert not found.wrong, name


def test_x_train_counts_clips_and_frames(tmp_path):
    for n in range(65):
        write(tmp_path / f"train/002/occ008.320/{n:04d}.png", (768, 768))
    video(tmp_path / "train/003/occ000.1.mp4", size=(768, 768), n=3)
    (tmp_path / "train/002/occ008.320/0064.png").unlink()
    found = check("x4k", tmp_path)
    assert found.found[0] == "1 of 4,408 training clips"
    assert "should have 4,408 training clips, but has 2" in found.wrong[0]
    assert "1 of 66 are missing, the first is " in found.wrong[1]
    assert len(found.wrong) == 2


def test_x_test_needs_all_33_frames(tmp_path):
    found = check("xtest-2k", xtest(tmp_path, size=(8, 4)))
    assert "should have 15 test clips, but has 2" in found.wrong[0]
    assert "48 of 66 are missing" in found.wrong[1]
    assert "should have 4096x2160 pixels, but has 8x4; download the original" in found.wrong[2]


def test_snu_film_arb_needs_more_than_snu_film(tmp_path):
    snu_film(tmp_path, "hard", 8)
    (few,) = check("snu-film-hard", tmp_path).wrong
    assert "should have 310 hard triplets, but has 2" in few
    found = check("snu-film-arb-hard", tmp_path)
    assert found.found[0] == "0 of 310 hard runs of 9 frames"
    assert "12 of 18 are missing" in found.wrong[1]


def test_xiph_of_a_smaller_size(tmp_path):
    found = check("xiph-4k", xiph_clips(tmp_path, size=(2048, 1080)))
    assert found.found[0] == "8 of 8 clips"
    assert "should have 4096x2160 pixels, but has 2048x1080" in found.wrong[0]
    assert " more)" in found.wrong[0]


def test_corrupt_files_are_one_sentence_with_how_many(tmp_path):
    root = middlebury_other(tmp_path)
    for scene in ("Venus", "Walking"):
        (root / f"other-data/{scene}/frame10.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(300))
    found = check("middlebury", root)
    (said,) = found.wrong
    assert "Venus/frame10.png should be a picture, but cannot be read; download it again (and 1 more)" in said
    assert found.found[-1].startswith("34 of 36 files are whole")


def test_damage_within_is_found_where_every_file_is_opened(tmp_path):
    root = tmp_path
    for n in range(400):
        texture(root / f"{n:03d}" / "im1.png", size=(16, 16))
        for i in (2, 3):
            (root / f"{n:03d}" / f"im{i}.png").symlink_to(root / f"{n:03d}" / "im1.png")
    damaged = root / "201" / "im1.png"
    data = bytearray(damaged.read_bytes())
    data[60:200] = bytes(140)
    damaged.write_bytes(data)
    assert closed(damaged)
    assert fault(damaged, None)
    assert not check("triplets", root).wrong
    assert "201/im1.png should be a picture" in check("triplets", root, every=True).wrong[0]


MADE = {
    "png": lambda path: texture(path.with_suffix(".png")),
    "jpg": lambda path: texture(path.with_suffix(".jpg")),
    "webp": lambda path: texture(path.with_suffix(".webp")),
    "mp4": lambda path: video(path.with_suffix(".mp4"), n=5),
}


@pytest.mark.parametrize("kind", MADE)
@given(seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_a_file_that_was_cut_short_is_not_closed(tmp_path_factory, kind, seed):
    file = MADE[kind](tmp_path_factory.getbasetemp() / f"whole_{kind}")
    assert closed(file)
    assert fault(file, (64, 48)) is None
    assert "should have 32x32 pixels, but has 64x48" in fault(file, (32, 32))
    data = file.read_bytes()
    short = file.with_stem(f"short_{kind}_{seed}")
    short.write_bytes(data[: random.Random(seed).randrange(len(data) - 1)])
    assert not closed(short)
