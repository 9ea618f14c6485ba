"""Interlacing and telecine are seen in what moves; progressive clips and still stripes are left alone."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from tween.video.interlace import combed, verdict
from tween.video.read import open_reader


def moments(count: int) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    ground = F.interpolate(torch.rand(1, 3, 12, 40, generator=g), (96, 320), mode="nearest")[0]
    return [ground[:, :, 4 * i : 4 * i + 160] for i in range(count)]


def weave(top: torch.Tensor, bottom: torch.Tensor) -> torch.Tensor:
    frame = top.clone()
    frame[:, 1::2] = bottom[:, 1::2]
    return frame


def flags(frames: list[torch.Tensor]) -> list[bool | None]:
    return [None, *(combed(a, b) for a, b in pairwise(frames))]


def test_fields_of_two_moments():
    m = moments(40)
    assert verdict(flags([weave(m[2 * i], m[2 * i + 1]) for i in range(20)])) == ("interlaced", "bwdif")


def test_film_pulled_down_by_fields():
    film = moments(24)
    frames = []
    for a, b, c, d in zip(*(film[i::4] for i in range(4)), strict=True):
        frames += [a, b, weave(b, c), weave(c, d), d]
    assert verdict(flags(frames)) == ("telecined", "fieldmatch,decimate")


def test_progressive():
    assert verdict(flags(moments(30))) is None


def test_stripes_that_stand_still():
    stripes = torch.zeros(3, 96, 160)
    stripes[:, ::2] = 1
    assert verdict(flags([stripes] * 20)) is None


@pytest.mark.parametrize("name", ["scene_cuts_640x272_25fps", "vfr_568x320_audio_cat", "anamorphic_sar_2x1"])
def test_real_progressive_clips(shared, name):
    with open_reader(shared / "videos" / f"{name}.mp4", stop=4) as reader:
        assert verdict(flags([frame.rgb for frame in reader])) is None
