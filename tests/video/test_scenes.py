"""Cuts: found on real and made clips; flashes, fades, held drawings and dark noise are none."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from tween.core import Frame
from tween.video import scenes
from tween.video.read import open_reader

AHEAD = scenes.FLASH + scenes.WINDOW + 2


def texture(seed: int, level: float = 0.5) -> torch.Tensor:
    noise = torch.rand(1, 3, 12, 20, generator=torch.Generator().manual_seed(seed))
    return (F.interpolate(noise, (96, 160), mode="bicubic")[0] * 0.8 + level - 0.4).clamp(0, 1)


def pan(seed: int, count: int, speed: int = 2) -> list[torch.Tensor]:
    return [texture(seed).roll(speed * i, 2) for i in range(count)]


def found(pictures: list[torch.Tensor]) -> list[int]:
    frames = [Frame(time=Fraction(i, 25), rgb=rgb) for i, rgb in enumerate(pictures)]
    out = list(scenes.cuts(frames))
    assert [frame for frame, _ in out] == frames
    return [i for i, (_, cut) in enumerate(out) if cut]


def test_cuts_of_a_real_clip(shared):
    with open_reader(shared / "videos/scene_cuts_640x272_25fps.mp4") as reader:
        assert [i for i, (_, cut) in enumerate(scenes.cuts(reader)) if cut] == [30, 76, 137, 187, 242]


@pytest.mark.parametrize(("first", "second"), [(1, 20), (2, 20), (20, 2), (20, 1), (5, 5), (12, 3)])
def test_a_cut_anywhere(first, second):
    assert found(pan(1, first, speed=1) + pan(2, second, speed=1)) == [first]


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("at", [8, 13])
def test_a_flash_is_no_cut(length, at):
    pictures = pan(1, 20)
    for i in range(at, min(at + length, 20)):
        pictures[i] = (pictures[i] + 0.7).clamp(0, 1)
    assert found(pictures) == []


def test_a_cut_next_to_a_flash_stays():
    pictures = pan(1, 10) + pan(2, 10)
    pictures[4] = (pictures[4] + 0.7).clamp(0, 1)
    assert found(pictures) == [10]


def test_a_fade_is_no_cut():
    assert found([p * (1 - i / 15) for i, p in enumerate(pan(1, 16))]) == []


@pytest.mark.parametrize("held", [2, 3, 4])
def test_held_drawings_are_no_cuts(held):
    assert found([p for p in pan(1, 12, speed=9) for _ in range(held)]) == []


def test_the_noise_of_dark_pictures_is_no_cut():
    g = torch.Generator().manual_seed(0)
    assert found([0.01 * torch.rand(3, 96, 160, generator=g) for _ in range(20)]) == []


def test_a_single_frame_and_none():
    assert found(pan(1, 1)) == []
    assert found([]) == []


@pytest.mark.parametrize(("speed", "most"), [(2, AHEAD), (0, scenes.HOLD * AHEAD)])
def test_few_frames_are_held_back(speed, most):
    taken = 0

    def source():
        nonlocal taken
        for i, rgb in enumerate(pan(1, 60, speed)):
            taken += 1
            yield Frame(time=Fraction(i), rgb=rgb)

    assert max(taken - given for given, _ in enumerate(scenes.cuts(source()))) <= most
