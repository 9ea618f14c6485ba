"""Boards as files: what they say is read exactly, and what they cannot say is told in a sentence."""

import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.layouts import texture
from tween.core import TweenError
from tween.infer.board import embedding, look, of_pictures, picture, read_board


def written(folder, data):
    path = folder / "board.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def frames(*more, **first):
    return {"frames": [{"image": "a.png", "time": 0} | first, {"image": "b.png", "time": 1}, *more]}


def test_a_board_is_read_exactly(tmp_path):
    text = """{"fps": "24000/1001", "text": "words.npy", "frames": [{"image": "a.png", "time": 0.1},
    {"image": "sub/b.png", "time": "1001/24000", "status": "proposed"}, {"image": "c.png", "time": 3,
    "status": "given"}]}"""
    board = read_board(written(tmp_path, text))
    assert board.fps == Fraction(24000, 1001)
    assert board.text == tmp_path / "words.npy"
    assert [shot.time for shot in board.shots] == [Fraction(1, 10), Fraction(1001, 24000), 3]
    assert [shot.given for shot in board.shots] == [True, False, True]
    assert board.shots[1].image == tmp_path / "sub" / "b.png"


def test_what_may_be_left_out(tmp_path):
    board = read_board(written(tmp_path, frames()))
    assert (board.fps, board.text) == (24, None)
    assert all(shot.given for shot in board.shots)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.decimals(-1000, 1000, places=6))
def test_decimals_are_not_rounded(tmp_path, time):
    text = json.dumps(frames(time="T")).replace('"T"', f"{time:f}")
    assert read_board(written(tmp_path, text)).shots[0].time == Fraction(time)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{", "expected JSON in"),
        ("[1]", "expected frames in"),
        ({"frames": 3}, "expected a list of frames in"),
        (frames() | {"rate": 3}, "besides at most fps and text, but it has frames, rate"),
        (frames() | {"fps": "fast"}, "fps of .* should be a number"),
        (frames({"image": "c.png"}), "expected image and time in frame 3 of"),
        (frames({"image": "c.png", "time": 2, "state": "given"}), "it has image, state, time"),
        (frames(status="maybe"), "status of frame 1 of .* should be given or proposed, but is 'maybe'"),
        (frames(time="soon"), "time of frame 1 of .* should be a number"),
        (frames(time=None), "time of frame 1 of .* should be a number"),
        (frames(image=3), "should be the name of a file, but is 3"),
        (frames() | {"text": 3}, "should be the name of a file, but is 3"),
    ],
)
def test_what_a_board_cannot_say(tmp_path, data, said):
    with pytest.raises(TweenError, match=said) as error:
        read_board(written(tmp_path, data))
    assert "\n" not in str(error.value)


def test_there_is_no_board(tmp_path):
    with pytest.raises(TweenError, match=r"board\.json cannot be read; check the name"):
        read_board(tmp_path / "board.json")


def board_of(folder, **pictures):
    """Pictures written by OpenCV, so as arrays BGR(A)."""
    for name, pixels in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), pixels)
    files = [folder / f"{name}.png" for name in pictures]
    return of_pictures(files, ",".join(map(str, range(len(files)))), Fraction(24))


def test_pictures_of_all_depths_become_one_kind(tmp_path):
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 2**16, (6, 8, 3), np.uint16)
    clear = rng.integers(0, 256, (6, 8, 4), np.uint8)
    grey = rng.integers(0, 256, (6, 8), np.uint8)
    board = board_of(tmp_path, deep=deep, clear=clear, grey=grey)
    info = look(board)
    assert (info.width, info.height, info.bits, info.alpha, info.pix_fmt) == (8, 6, 16, True, "gbrap16le")
    one, two, three = (picture(shot, info) for shot in board.shots)
    np.testing.assert_allclose(one[:3].numpy(), deep[..., ::-1].transpose(2, 0, 1) / 65535, atol=1e-7)
    assert (one[3] == 1).all()
    np.testing.assert_allclose(two.numpy(), clear[..., [2, 1, 0, 3]].transpose(2, 0, 1) / 255, atol=1e-7)
    np.testing.assert_allclose(three[:3].numpy(), np.stack([grey] * 3) / 255, atol=1e-7)


def test_sizes_that_differ(tmp_path):
    board = board_of(tmp_path, a=np.zeros((6, 8, 3), np.uint8), b=np.zeros((8, 6, 3), np.uint8))
    with pytest.raises(TweenError, match=r"one size, 8x6 as .*a\.png, but .*b\.png is 6x8; scale or crop it"):
        look(board)


@pytest.mark.parametrize("what", ["missing", "text", "empty", "cut short", "folder"])
def test_a_picture_that_cannot_be_read(tmp_path, what):
    a, b = texture(tmp_path / "a.png"), tmp_path / "b.png"
    if what == "folder":
        b.mkdir()
    elif what != "missing":
        b.write_bytes({"text": b"no picture", "empty": b"", "cut short": a.read_bytes()[:50]}[what])
    with pytest.raises(TweenError, match=r"b\.png cannot be read"):
        look(of_pictures([a, b], "0,1", Fraction(24)))


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (None, "pass --times"),
        ("0", "for each of 2 pictures, but --times has 1"),
        ("0,x", "should be a number"),
    ],
)
def test_times_on_the_command_line(tmp_path, times, said):
    with pytest.raises(TweenError, match=said):
        of_pictures([tmp_path / "a.png", tmp_path / "b.png"], times, Fraction(24))


def test_embeddings(tmp_path):
    path = tmp_path / "words.npy"
    np.save(path, np.arange(6, dtype=np.float16).reshape(2, 3))
    assert embedding(path).equal(torch.arange(6.0).reshape(2, 3))
    for wrong in (np.zeros((1, 2, 3)), np.array([np.nan]), np.array(["words"]), np.array([{}])):
        np.save(path, wrong, allow_pickle=True)
        with pytest.raises(TweenError, match="expected a text embedding"):
            embedding(path)
    path.write_text("a ball")
    with pytest.raises(TweenError, match=r"as a \.npy array"):
        embedding(path)
