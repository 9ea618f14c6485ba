"""`tween fill`: keyframes bit by bit where they were put, and every bad storyboard in one sentence."""

import subprocess
import sys
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from tests.data.layouts import board, texture
from tests.infer.refining import Refining
from tween.cli.main import main
from tween.video.images import load
from tween.video.read import open_reader
from tween.zoo import ZOO
from tween.zoo.registry import Entry


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """a.png, b.png and c.png, of a texture that moves, and a board of them."""
    for name, shift in zip("abc", (0, 4, 12), strict=True):
        texture(tmp_path / f"{name}.png", shift)
    board(tmp_path / "board.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refining(monkeypatch):
    """A model of the zoo that refines, draws by chance and takes text."""
    monkeypatch.setitem(ZOO, "refining", Entry(build=lambda *_: Refining(), summary="for tests"))


def run(capsys, line):
    code = main(["fill", "--device", "cpu", *line.split()])
    return code, *capsys.readouterr()


def film(path):
    with open_reader(path) as reader:
        return list(reader)


@pytest.mark.parametrize("model", ["fast", "dis", "blend", "nearest"])
def test_keyframes_come_out_bit_by_bit_whatever_the_model(folder, capsys, model):
    code, out, _ = run(
        capsys, f"a.png b.png c.png --times 0,0.5,1.25 --fps 8 -o out_%03d.png --model {model}"
    )
    assert code == 0
    assert out.startswith("out_%03d.png: 11 frames, 3 of them the storyboard's own, 1.375 s, in ")
    assert len(list(folder.glob("out_*.png"))) == 11
    for name, number in zip("abc", (1, 5, 11), strict=True):
        np.testing.assert_array_equal(load(folder / f"out_{number:03}.png"), load(folder / f"{name}.png"))


def test_a_lossless_film_has_them_at_their_times(folder, capsys):
    assert (
        run(
            capsys,
            "a.png b.png c.png --times 1,2,2.5 --fps 24 -o out.mkv --codec ffv1 --pix-fmt bgr0 --model blend",
        )[0]
        == 0
    )
    frames = film("out.mkv")
    assert [frame.time for frame in frames][::12] == pytest.approx([0, 0.5, 1, 1.5], abs=1e-3)
    assert len(frames) == 37
    for name, number in zip("abc", (0, 24, 36), strict=True):
        pixels = torch.from_numpy(load(folder / f"{name}.png")).permute(2, 0, 1) / 255
        assert frames[number].rgb.equal(pixels)


def test_a_board(folder, capsys):
    code, out, _ = run(capsys, "board.json -o out.mp4")
    assert (code, out.split(",")[0]) == (0, "out.mp4: 5 frames")
    assert [frame.time for frame in film("out.mp4")] == [Fraction(i, 8) for i in range(5)]
    code, out, _ = run(capsys, "board.json -o out.mp4 --fps 16 -y --model blend")
    assert (code, out.split(",")[0]) == (0, "out.mp4: 9 frames")


def test_24_frames_a_second_unless_said(folder, capsys):
    assert "13 frames" in run(capsys, "a.png b.png --times 0,0.5 -o out.mp4 --model blend")[1]


def test_given_pictures_stay_and_proposed_ones_are_refined(folder, capsys, refining):
    assert run(capsys, "board.json -o out_%d.png --model refining")[0] == 0
    for number, same in ((0, True), (1, False), (2, True)):
        made, own = load(folder / f"out_{2 * number + 1}.png"), load(folder / f"{number}.png")
        assert np.array_equal(made, own) == same


def test_a_draft_and_then_the_clip(folder, capsys, refining):
    code, _, said = run(capsys, "board.json -o draft_%d.png --model refining --draft")
    assert (code, "refines nothing" in said, "--draft" in said) == (0, False, False)
    assert "--draft" not in run(capsys, "board.json -o plain_%d.png --model blend")[2]
    quicker = "Refining takes most of the time on a CPU; --draft leaves it out"
    assert quicker in run(capsys, "board.json -o whole_%d.png --model refining")[2]
    for number in (2, 3, 4):
        draft, plain, whole = (load(folder / f"{kind}_{number}.png") for kind in ("draft", "plain", "whole"))
        np.testing.assert_array_equal(draft, plain)
        assert not np.array_equal(draft, whole)
    assert "refines nothing" in run(capsys, "board.json -o x.mp4 --model blend --draft")[2]


def test_variants_differ_by_their_seeds(folder, capsys, refining):
    code, out, _ = run(
        capsys, "board.json -o out.mkv --codec ffv1 --pix-fmt bgr0 --model refining --variants 3 --seed 5"
    )
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == ["out-1.mkv", "out-2.mkv", "out-3.mkv"]
    one, two, _ = (film(f"out-{i}.mkv")[1].rgb for i in (1, 2, 3))
    assert not one.equal(two)
    run(capsys, "board.json -o again.mkv --codec ffv1 --pix-fmt bgr0 --model refining --seed 6")
    assert film("again.mkv")[1].rgb.equal(two)


def test_variants_of_a_model_without_chance_are_told(folder, capsys):
    code, _, said = run(capsys, "board.json -o out_%d.png --model blend --variants 2")
    assert code == 0
    assert "All variants came out alike" in said
    assert len(list(folder.glob("out_*-2.png"))) == 5


def test_text(folder, capsys, refining):
    np.save("words.npy", np.ones((2, 4), np.float32))
    assert run(capsys, "board.json -o plain.mkv --codec ffv1 --pix-fmt bgr0 --model refining")[0] == 0
    assert (
        run(capsys, "board.json -o told.mkv --codec ffv1 --pix-fmt bgr0 --model refining --text words.npy")[0]
        == 0
    )
    assert not film("plain.mkv")[1].rgb.equal(film("told.mkv")[1].rgb)


def test_of_a_picture_that_ends_early_nothing_is_said_but_one_sentence(folder):
    (folder / "cut.png").write_bytes((folder / "b.png").read_bytes()[:-40])
    words = ["-m", "tween", "fill", "a.png", "cut.png", "--times", "0,1", "-o", "out.mp4"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    sentence = "tween: expected an image of 8 or 16 bits, but cut.png cannot be read as one\n"
    assert (done.returncode, done.stderr) == (2, sentence)


REFUSED = {
    "a.png b.png --times 1,0 -o out.mp4": "times of keyframes should increase",
    "a.png b.png --times 0,0 -o out.mp4": "times of keyframes should increase",
    "a.png b.png --times 0,0.01 -o out.mp4": "fall on one frame at 24 fps",
    "a.png small.png --times 0,1 -o out.mp4": "expected pictures of one size",
    "a.png --times 0 -o out.mp4": "expected two keyframes or more",
    "a.png none.png --times 0,1 -o out.mp4": "none.png cannot be read",
    "a.png broken.png --times 0,1 -o out.mp4": "broken.png cannot be read",
    "a.png b.png -o out.mp4": "pass --times",
    "a.png b.png --times 0,1,2 -o out.mp4": "--times has 3",
    "a.png b.png --times 0,1 --fps 0 -o out.mp4": "fps should be above 0",
    "a.png b.png --times 0,1 -o out.xyz": "no container is called .xyz",
    "a.png b.png --times 0,1 -o b.png": "such as b_%03d.png",
    "a.png b.png --times 0,1 -o new.jpg": "such as new_%03d.jpg",
    "a.png b.png --times 0,1 -o out.mp4 --model none": "there is no model 'none'",
    "a.png b.png --times 0,1 -o out.mp4 --variants 0": "--variants should be at least 1",
    "a.png b.png --times 0,1 -o there.mp4": "there.mp4 exists already",
    "a.png b.png --times 0,1 -o taken.mp4 --variants 2": "taken-2.mp4 exists already",
    "board.json --times 0,1 -o out.mp4": "leave out --times",
    "none.json -o out.mp4": "none.json cannot be read",
    "empty.json -o out.mp4": "expected two keyframes or more to fill between, but got 0",
    "broken.json -o out.mp4": "expected JSON in",
    "board.json --text words.npy -o out.mp4": "takes no text",
    "board.json --text a.png -o out.mp4": "expected a text embedding as a .npy array",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_is_one_sentence(folder, capsys, line):
    texture(folder / "small.png", size=(32, 48))
    for name in ("broken.png", "broken.json", "there.mp4", "taken-2.mp4"):
        (folder / name).write_bytes(b"?")
    (folder / "empty.json").write_text('{"frames": []}')
    np.save("words.npy", np.ones(4, np.float32))
    before = set(folder.rglob("*"))
    code, out, said = run(capsys, line if "--model" in line else f"{line} --model blend")
    assert (code, out) == (2, "")
    assert REFUSED[line] in said
    assert said.startswith("tween: ")
    assert said.count("\n") == 1
    assert set(folder.rglob("*")) == before


def test_what_fails_on_the_way_leaves_nothing(folder, capsys, monkeypatch):
    """A picture that goes bad after it was looked at."""
    from tween.cli import fill

    def late(shot, info):
        if shot.image.name == "c.png":
            raise cv2.error("gone")
        return picture(shot, info)

    picture = fill.picture
    monkeypatch.setattr(fill, "picture", late)
    before = set(folder.rglob("*"))
    assert run(capsys, "a.png b.png c.png --times 0,1,2 --fps 4 -o out.mp4 --model blend")[0] == 1
    assert set(folder.rglob("*")) == before
