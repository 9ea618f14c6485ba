"""Layouts on disk, and what is said when they are not as they should be."""

import numpy as np
import pytest
import torch
from PIL import Image

from tween.core import TweenError
from tween.data import DATASETS, middlebury, triplets, ucf101


def write(path, size=(6, 4), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 100, 200)).save(path)


def scene(folder, suffix="png", sizes=((6, 4),) * 3):
    for i, size in enumerate(sizes, 1):
        write(folder / f"im{i}.{suffix}", size, value=50 * i)


def test_scenes_of_any_type_in_order(tmp_path):
    for name, suffix in (("b", "png"), ("a", "jpg"), ("c/0001", "webp")):
        scene(tmp_path / name, suffix)
    (tmp_path / "notes.txt").write_text("not a scene")
    found = DATASETS["triplets"](tmp_path)
    assert [t.name for t in found] == ["a", "b", "c/0001"]
    before, truth, after = found[1].load()
    assert truth.shape == (3, 4, 6)
    for k, image in enumerate((before, truth, after), 1):
        assert torch.allclose(image[:, 0, 0] * 255, torch.tensor([50.0 * k, 100, 200]))


def test_the_test_list_chooses_scenes(tmp_path):
    for name in ("00001/0001", "00001/0002", "00002/0001"):
        scene(tmp_path / "sequences" / name)
    (tmp_path / "tri_testlist.txt").write_text("00001/0002\n00002/0001\n\n")
    names = ["00001/0002", "00002/0001"]
    assert [t.name for t in triplets.read(tmp_path / "sequences")] == names
    assert [t.name for t in triplets.read(tmp_path)] == [f"sequences/{n}" for n in names]


@pytest.mark.parametrize("missing", ["im2.png", "im3.png"])
def test_a_scene_without_a_picture(tmp_path, missing):
    scene(tmp_path / "a")
    (tmp_path / "a" / missing).unlink()
    with pytest.raises(TweenError, match=missing[:3]):
        triplets.read(tmp_path)


def test_pictures_that_do_not_fit_or_open(tmp_path):
    scene(tmp_path / "a", sizes=((6, 4), (6, 4), (8, 4)))
    with pytest.raises(TweenError, match="6x4, 6x4, 8x4"):
        triplets.read(tmp_path)[0].load()
    (tmp_path / "a" / "im1.png").write_bytes(b"not a picture")
    with pytest.raises(TweenError, match=r"im1\.png should be a picture"):
        triplets.read(tmp_path)[0].load()


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("folder", ["", "absent"])
def test_nothing_there(tmp_path, name, folder):
    with pytest.raises(TweenError, match="should"):
        DATASETS[name](tmp_path / folder)


def test_alpha_and_grey_are_read_as_rgb(tmp_path):
    Image.new("RGBA", (2, 2), (10, 20, 30, 0)).save(tmp_path / "a.png")
    Image.fromarray(np.full((2, 2), 7, np.uint8)).save(tmp_path / "g.png")
    assert (triplets.load_image(tmp_path / "a.png")[:, 0, 0] * 255).round().tolist() == [10, 20, 30]
    assert (triplets.load_image(tmp_path / "g.png")[:, 0, 0] * 255).round().tolist() == [7, 7, 7]


def test_middlebury_has_twelve(tmp_path):
    for name in middlebury.SCENES:
        for path in middlebury.paths(name):
            write(tmp_path / path)
    write(tmp_path / "other-data/Army/frame10.png")  # one of the scenes without truth
    found = middlebury.read(tmp_path)
    assert len(found) == 12
    assert (found[0].name, found[11].name) == ("Beanbags", "Walking")
    assert found[0].truth.parts[-3:] == ("other-gt-interp", "Beanbags", "frame10i11.png")
    (tmp_path / "other-data/Venus/frame11.png").unlink()
    with pytest.raises(TweenError, match=r"1 of 36 .*other-data/Venus/frame11\.png"):
        middlebury.read(tmp_path)


@pytest.fixture(scope="module")
def ucf(tmp_path_factory):
    root = tmp_path_factory.mktemp("ucf")
    for number in range(1, 380):
        for name in ucf101.NAMES:
            path = root / "ucf101_interp_ours" / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def test_ucf101_has_379_in_order_of_number(ucf):
    found = ucf101.read(ucf)
    assert [t.name for t in found] == [str(n) for n in range(1, 380)]
    assert found == ucf101.read(ucf / "ucf101_interp_ours")
    assert [p.name for p in (found[4].before, found[4].truth, found[4].after)] == list(ucf101.NAMES)


def test_ucf101_in_part_is_no_result(ucf, tmp_path):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        for name in ucf101.NAMES:
            (tmp_path / str(number) / name).touch()
    with pytest.raises(TweenError, match=r"379 numbered folders .* has 2"):
        ucf101.read(tmp_path)
    (tmp_path / "2" / "frame_01_gt.png").unlink()
    with pytest.raises(TweenError, match=r"2/frame_01_gt\.png"):
        ucf101.read(tmp_path)
