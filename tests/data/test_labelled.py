"""Pictures with classes: the archive as it ships, folders, noise; and the mistakes that are made with them."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from tween.core import TweenError
from tween.data import DATASETS, labelled


def archive(root, train=4, test=2, side=32, classes=("cat", "ant")):
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root / labelled.ARCHIVE, "w:xz") as tar:
        for split, count in (("train", train), ("test", test)):
            for i, name in enumerate(classes):
                for k in range(count):
                    picture = np.full((side, side, 3), 40 * i + 10 * k + 20, np.uint8)
                    file = io.BytesIO()
                    Image.fromarray(picture).save(file, "JPEG", quality=95)
                    info = tarfile.TarInfo(f"{split}/{name}/{k:04d}.jpg")
                    info.size = file.tell()
                    file.seek(0)
                    tar.addfile(info, file)
    return root


def test_the_archive_by_file_or_folder(tmp_path):
    archive(tmp_path)
    for place in (tmp_path, tmp_path / labelled.ARCHIVE):
        found = labelled.cifar10(place, "train")
        assert found.classes == ("ant", "cat")
        assert found.pictures.shape == (8, 3, 32, 32)
        assert found.labels.tolist() == [1] * 4 + [0] * 4
        assert found.pictures[0].float().mean() == pytest.approx(20, abs=2)
        assert found.pictures[7].float().mean() == pytest.approx(90, abs=2)
    assert len(labelled.cifar10(tmp_path, "test")) == 4


def test_what_is_in_the_archive_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(labelled, "COUNTS", {"train": 8, "test": 4})
    check = DATASETS["cifar10"].check
    assert check(archive(tmp_path / "whole")).wrong == ()
    (sentence,) = check(archive(tmp_path / "part", test=1)).wrong
    assert "should hold 4 pictures in test/, but has 2" in sentence


def test_colours_are_red_green_blue(tmp_path):
    (tmp_path / "train" / "red").mkdir(parents=True)
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, 5:15, 0] = 200
    Image.fromarray(picture).save(tmp_path / "train/red/a.png")
    found = labelled.folder(tmp_path, 5)
    assert found.pictures.shape == (1, 3, 5, 5)
    assert found.pictures[0].flatten(1).unique(dim=1).tolist() == [[200], [0], [0]]  # the middle square alone
    assert labelled.folder(tmp_path / "train", 5).classes == ("red",)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: labelled.cifar10(p / "gone"), "gone"),
        (lambda p: labelled.cifar10(archive(p), "val"), "should hold val/<class>"),
        (lambda p: labelled.folder(p / "gone", 8), "a folder of pictures for every class"),
    ],
)
def test_mistakes_are_sentences(tmp_path, make, said):
    with pytest.raises(TweenError, match=said):
        make(tmp_path)


def test_a_file_that_is_no_archive_or_no_picture(tmp_path):
    (tmp_path / labelled.ARCHIVE).write_bytes(b"nothing")
    with pytest.raises(TweenError, match="should be an archive of CIFAR-10"):
        labelled.cifar10(tmp_path)
    with tarfile.open(tmp_path / labelled.ARCHIVE, "w:xz") as tar:
        info = tarfile.TarInfo("train/a/0.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(TweenError, match="pictures of one size"):
        labelled.cifar10(tmp_path)


def test_noise_has_classes_that_can_be_told(tmp_path):
    found = labelled.fake(16, classes=3, each=5)
    assert found.pictures.shape == (15, 3, 16, 16)
    assert found.labels.bincount().tolist() == [5, 5, 5]
    assert labelled.fake(16, seed=1).pictures.float().std() > 10
