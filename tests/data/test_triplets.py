"""Test sets: which pictures a scene is made of, at which t, and what is said when one is missing."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.layouts import middlebury_other, snu_film, ucf101, video, vimeo, write, xiph_clips, xtest
from tween.core import TweenError
from tween.data import DATASETS
from tween.data.pictures import pixels
from tween.evaluate.protocols import PROTOCOLS

TESTS = [name for name, entry in DATASETS.items() if entry.read]


def read(name, root):
    return DATASETS[name].read(root)


def reds(scene):
    """Of the first pixel of the three pictures."""
    return [round(float(image[0, 0, 0]) * 255) for image in scene.load()]


def scene(folder, suffix="png", sizes=((6, 4),) * 3):
    for i, size in enumerate(sizes, 1):
        write(folder / f"im{i}.{suffix}", size, value=50 * i)


def test_every_test_set_has_a_protocol():
    assert set(TESTS) == set(PROTOCOLS)


def test_scenes_of_any_type_in_order(tmp_path):
    for name, suffix in (("b", "png"), ("a", "jpg"), ("c/0001", "webp")):
        scene(tmp_path / name, suffix)
    (tmp_path / "notes.txt").write_text("not a scene")
    found = read("triplets", tmp_path)
    assert [t.name for t in found] == ["a", "b", "c/0001"]
    before, truth, after = found[1].load()
    assert truth.shape == (3, 4, 6)
    for k, image in enumerate((before, truth, after), 1):
        assert torch.allclose(image[:, 0, 0] * 255, torch.tensor([50.0 * k, 100, 200]))


def test_folders_that_are_links_are_looked_into_but_not_in_circles(tmp_path):
    scene(tmp_path / "elsewhere" / "far")
    root = tmp_path / "root"
    scene(root / "near")
    (root / "linked").symlink_to(tmp_path / "elsewhere" / "far")
    (root / "set").symlink_to(tmp_path / "elsewhere")
    (root / "near" / "up").symlink_to(root)
    assert [t.name for t in read("triplets", root)] == ["linked", "near", "set/far"]


@pytest.mark.parametrize("missing", ["im2.png", "im3.png"])
def test_a_scene_without_a_picture(tmp_path, missing):
    scene(tmp_path / "a")
    (tmp_path / "a" / missing).unlink()
    with pytest.raises(TweenError, match=missing[:3]):
        read("triplets", tmp_path)


def test_pictures_that_do_not_fit_or_open(tmp_path):
    scene(tmp_path / "a", sizes=((6, 4), (6, 4), (8, 4)))
    with pytest.raises(TweenError, match="6x4, 6x4, 8x4"):
        read("triplets", tmp_path)[0].load()
    (tmp_path / "a" / "im1.png").write_bytes(b"not a picture")
    with pytest.raises(TweenError, match=r"im1\.png should be a picture"):
        read("triplets", tmp_path)[0].load()


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("folder", ["", "absent"])
def test_nothing_there(tmp_path, name, folder):
    with pytest.raises(TweenError, match="should"):
        read(name, tmp_path / folder)


def test_alpha_and_grey_are_read_as_rgb(tmp_path):
    Image.new("RGBA", (2, 2), (10, 20, 30, 0)).save(tmp_path / "a.png")
    Image.fromarray(np.full((2, 2), 7, np.uint8)).save(tmp_path / "g.png")
    assert pixels(tmp_path / "a.png")[0, 0].tolist() == [10, 20, 30]
    assert pixels(tmp_path / "g.png")[0, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize("where", ["", "sequences", ".."])
def test_vimeo_reads_its_test_list_only(tmp_path, where):
    root = vimeo(tmp_path / "vimeo_triplet", test=("00002/0003", "00001/0009"))
    (found, last) = read("vimeo", root / where)
    assert (found.name, last.name, found.t) == ("00002/0003", "00001/0009", Fraction(1, 2))
    assert reds(found) == [10, 20, 30]
    (root / "sequences/00001/0009/im2.png").unlink()
    with pytest.raises(TweenError, match=r"1 of 6 pictures are missing: 00001/0009/im2\.png"):
        read("vimeo", root / where)


def test_a_septuplet_is_tested_on_its_ends_and_middle(tmp_path):
    (found,) = read("vimeo-septuplet", vimeo(tmp_path, frames=7))
    assert reds(found) == [10, 40, 70]
    with pytest.raises(TweenError, match="tri_testlist"):
        read("vimeo", tmp_path)


def test_pictures_of_another_size_are_no_vimeo(tmp_path):
    root = vimeo(tmp_path)
    for i in (1, 2, 3):
        write(root / f"sequences/00002/0003/im{i}.png", (224, 128))
    with pytest.raises(TweenError, match="448x256 pixels, but has 224x128"):
        read("vimeo", root)[0].load()


@pytest.mark.parametrize("folder", ["", "other-data", "other-gt-interp"])
def test_middlebury_has_twelve(tmp_path, folder):
    middlebury_other(tmp_path)
    found = read("middlebury", tmp_path / folder)
    assert len(found) == 12
    assert (found[0].name, found[11].name) == ("Beanbags", "Walking")
    assert found[0].truth.parts[-3:] == ("other-gt-interp", "Beanbags", "frame10i11.png")
    (tmp_path / "other-data/Venus/frame11.png").unlink()
    with pytest.raises(TweenError, match=r"1 of 36 .*other-data/Venus/frame11\.png"):
        read("middlebury", tmp_path / folder)


def test_ucf101_has_379_in_order_of_number(tmp_path):
    found = read("ucf101", ucf101(tmp_path))
    assert [t.name for t in found] == [str(n) for n in range(1, 380)]
    assert found == read("ucf101", tmp_path / "ucf101_interp_ours")
    names = ["frame_00.png", "frame_01_gt.png", "frame_02.png"]
    assert [p.name for p in (found[4].before, found[4].truth, found[4].after)] == names
    assert found[4].load()[1].shape == (3, 256, 256)


def test_ucf101_in_part_is_no_result(tmp_path):
    ucf101(tmp_path, count=2)
    with pytest.raises(TweenError, match=r"379 numbered folders .* has 2"):
        read("ucf101", tmp_path)
    (tmp_path / "ucf101_interp_ours/2/frame_01_gt.png").unlink()
    with pytest.raises(TweenError, match=r"2/frame_01_gt\.png"):
        read("ucf101", tmp_path)


def test_snu_film_by_its_lists(tmp_path):
    snu_film(tmp_path, "hard", 8)
    found = read("snu-film-hard", tmp_path)
    names = ["test/GOPRO_test/GOPR0384_11_00/000005", "test/YouTube_test/0000/00004"]
    assert [s.name for s in found] == names
    assert [reds(s) for s in found] == [[1, 5, 9], [0, 4, 8]]
    assert {s.t for s in found} == {Fraction(1, 2)}
    with pytest.raises(TweenError, match=r"test-easy\.txt"):
        read("snu-film-easy", tmp_path)
    (tmp_path / "test-hard.txt").write_text("data/SNU-FILM/test/a.png\n")
    with pytest.raises(TweenError, match="three paths in each line"):
        read("snu-film-hard", tmp_path)


@pytest.mark.parametrize(("level", "steps"), [("medium", 4), ("hard", 8), ("extreme", 16)])
def test_snu_film_arb_takes_every_frame_between(tmp_path, level, steps):
    snu_film(tmp_path, level, steps, between=True)
    found = read(f"snu-film-arb-{level}", tmp_path)
    assert len(found) == 2 * (steps - 1)
    assert [s.t for s in found] == [Fraction(k, steps) for k in range(1, steps)] * 2
    for k, s in enumerate(found[: steps - 1], 1):
        assert reds(s) == [1, 1 + k, 1 + steps]
    assert len({s.name for s in found}) == len(found)
    assert found[0].name == f"test/GOPRO_test/GOPR0384_11_00/000002 of 000001-{1 + steps:06d}"
    snu_film(tmp_path, level, steps + 2, between=True)
    with pytest.raises(TweenError, match=f"should lie {steps} frames after"):
        read(f"snu-film-arb-{level}", tmp_path)


def test_snu_film_arb_needs_what_the_lists_do_not_name(tmp_path):
    snu_film(tmp_path, "hard", 8)
    with pytest.raises(TweenError, match="12 of 18 pictures are missing"):
        read("snu-film-arb-hard", tmp_path)


def test_x_test_has_seven_frames_between_two(tmp_path):
    root = xtest(tmp_path, clips=["Type1/TEST01_003_f0433"])
    for name in ("xtest-4k", "xtest-2k"):
        found = read(name, root)
        assert [s.t for s in found] == [Fraction(k, 8) for k in range(1, 8)]
        assert [s.name for s in found][:2] == [f"Type1/TEST01_003_f0433/{n:04d}" for n in (4, 8)]
    whole = read("xtest-4k", root / "test")[2].load()
    assert [round(float(image[0, 0, 0]) * 255) for image in whole] == [0, 12, 32]
    assert whole[1].shape == (3, 2160, 4096)
    (root / "test/Type1/TEST01_003_f0433/0012.png").unlink()
    with pytest.raises(TweenError, match=r"1 of 9 .*0012\.png"):
        read("xtest-4k", root)


def test_x_test_at_half_size_is_its_mean_by_area(tmp_path):
    root = xtest(tmp_path, clips=["Type2/TEST06"])
    noise = np.random.default_rng(1).integers(0, 256, (2160, 4096, 3), np.uint8)
    Image.fromarray(noise).save(root / "test/Type2/TEST06/0004.png", compress_level=0)
    before, truth, after = read("xtest-2k", root)[0].load()
    mean = noise.reshape(1080, 2, 2048, 2, 3).astype(np.float32).mean((1, 3))
    assert np.abs(truth.permute(1, 2, 0).numpy() * 255 - mean).max() <= 0.5 + 1e-3
    assert before.shape == after.shape == truth.shape == (3, 1080, 2048)


def test_x_test_as_it_ships(tmp_path):
    video(tmp_path / "encoded_test/Type1/TEST01.mp4", 33)
    found = read("xtest-4k", tmp_path)
    assert [s.name for s in found][:2] == ["Type1/TEST01/0004", "Type1/TEST01/0008"]
    with pytest.raises(TweenError, match=r"TEST01\.mp4 should have 4096x2160 pixels, but has 64x48"):
        found[0].load()
    video(tmp_path / "short/encoded_test/Type1/TEST01.mp4", 20)
    with pytest.raises(TweenError, match="33 frames or more, but has 20"):
        read("xtest-4k", tmp_path / "short/encoded_test")


def test_xiph_has_49_triplets_a_clip(tmp_path):
    xiph_clips(tmp_path)
    small, cut = read("xiph-2k", tmp_path), read("xiph-4k", tmp_path)
    assert len(small) == len(cut) == 8 * 49
    assert (small[0].name, small[48].name) == ("BoxingPractice-002", "BoxingPractice-098")
    assert (small[0].before.name, small[0].after.name) == ("BoxingPractice-001.png", "BoxingPractice-003.png")
    (tmp_path / "Tango-050.png").unlink()
    with pytest.raises(TweenError, match=r"1 of 792 .*Tango-050\.png"):
        read("xiph-4k", tmp_path)


def test_xiph_is_scaled_or_cut(tmp_path):
    xiph_clips(tmp_path)
    noise = np.random.default_rng(1).integers(0, 256, (2160, 4096, 3), np.uint8)
    for n in (1, 2, 3):
        (tmp_path / f"BoxingPractice-{n:03d}.png").unlink()
        Image.fromarray(noise).save(tmp_path / f"BoxingPractice-{n:03d}.png", compress_level=0)
    small, cut = (read(f"xiph-{kind}", tmp_path)[0].load()[1] for kind in ("2k", "4k"))
    mean = noise.reshape(1080, 2, 2048, 2, 3).astype(np.float32).mean((1, 3))
    assert np.abs(small.permute(1, 2, 0).numpy() * 255 - mean).max() <= 0.5 + 1e-3
    assert np.allclose(cut.permute(1, 2, 0).numpy() * 255, noise[540:-540, 1024:-1024], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "file"), [("vimeo", "tri_testlist.txt"), ("snu-film-hard", "test-hard.txt")]
)
def test_an_empty_list_is_no_result(tmp_path, name, file):
    (vimeo if name == "vimeo" else snu_film)(tmp_path)
    (tmp_path / file).write_text("\n")
    with pytest.raises(TweenError, match=f"{file} should name .*, but is empty; copy it again"):
        read(name, tmp_path)
