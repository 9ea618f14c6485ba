"""Duplicates: held drawings and stutter under noise are seen, a small mouth is not lost, holds stay holds."""

from fractions import Fraction
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from tween.core import Frame
from tween.video.duplicates import HELD, Look, change, mark, pattern, retime, runs


def drawing(step: int, speed: float = 3.0) -> torch.Tensor:
    """A textured disc that moves over a textured ground."""
    g = torch.Generator().manual_seed(5)
    ground = F.interpolate(torch.rand(1, 3, 9, 16, generator=g), (144, 256), mode="bicubic")[0].clamp(0, 1)
    y, x = torch.meshgrid(torch.arange(144.0), torch.arange(256.0), indexing="ij")
    inside = ((y - 72) ** 2 + (x - 40 - speed * step) ** 2 < 30**2).float()
    return ground * (1 - inside) + inside * torch.tensor([0.9, 0.3, 0.2]).view(3, 1, 1)


def clip(steps: list[int], noise: float = 0.0) -> list[Frame]:
    g = torch.Generator().manual_seed(1)
    pictures = [drawing(step) for step in steps]
    noisy = [(p + noise * torch.randn(p.shape, generator=g)).clamp(0, 1) for p in pictures]
    return [Frame(time=Fraction(i, 24), rgb=p) for i, p in enumerate(noisy)]


def seen(frames: list[Frame]) -> str:
    repeats = [c is not None and c.duplicate for _, c in mark(frames)]
    return pattern(list(runs(repeats)))


@pytest.mark.parametrize("noise", [0.0, 1 / 255, 3 / 255])
@pytest.mark.parametrize(
    ("held", "word"), [(1, "none"), (2, "mostly 2s"), (3, "mostly 3s"), (4, "mostly 4s")]
)
def test_animation_on_twos_and_threes(held, word, noise):
    assert seen(clip([i // held for i in range(24)], noise)) == word


def test_capture_stutter_with_noise():
    steps = [0, 1, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13, 13, 14]
    assert seen(clip(steps, 2 / 255)) == "stutter"


def test_film_pulled_down_by_repeating():
    steps = [i - i // 5 for i in range(40)]
    assert seen(clip(steps, 1 / 255)) == "1 in 5"


def test_a_still_clip():
    assert seen(clip([3] * 12)) == "still"


def look(rgb):
    return Look(Frame(time=Fraction(0), rgb=rgb))


def test_a_small_mouth_is_motion():
    a = drawing(0)
    b = a.clone()
    b[:, 60:66, 100:110] = 0.1
    assert not change(look(a), look(b)).identical
    assert not change(look(a), look(b)).duplicate


@pytest.mark.parametrize("speed", [0.1, 0.5, 2.0])
def test_slow_motion_is_not_identical(speed):
    g = torch.Generator().manual_seed(2)
    wide = F.interpolate(torch.rand(1, 3, 30, 50, generator=g), (300, 500), mode="bicubic").clamp(0, 1)
    theta = torch.tensor([[[0.8, 0, 0], [0, 0.8, 0]]])
    moved = theta.clone()
    moved[0, 0, 2] = 2 * speed / 500
    a, b = (
        F.grid_sample(wide, F.affine_grid(m, [1, 3, 240, 400], align_corners=False), align_corners=False)[0]
        for m in (theta, moved)
    )
    assert not change(look(a), look(b)).identical


def test_a_slow_fade_is_no_run():
    frames = [Frame(time=Fraction(i), rgb=torch.full((3, 64, 64), 0.5 + i / 400)) for i in range(20)]
    assert max(runs(c is not None and c.duplicate for _, c in mark(frames))) < 3


def test_retiming_leaves_one_frame_a_drawing_at_its_time():
    frames = clip([i // 2 for i in range(20)], 1 / 255)
    kept = list(retime(frames))
    assert [f.time for f in kept] == [Fraction(i, 24) for i in (*range(0, 20, 2), 19)]
    assert all(any(f is g for g in frames) for f in kept)


def test_retiming_keeps_holds():
    frames = clip([0, 1, 2, *([3] * (HELD + 4)), 4, 5])
    times = [f.time * 24 for f in retime(frames)]
    assert times == [0, 1, 2, 3, 3 + HELD + 3, 3 + HELD + 4, 3 + HELD + 5]
    assert all(a < b for a, b in pairwise(times))


def test_tiny_frames():
    a = torch.zeros(3, 2, 3)
    assert change(look(a), look(a.clone())).identical
    assert not change(look(a), look(a + 0.5)).duplicate
