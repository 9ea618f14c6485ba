"""ffmpeg's filter as a filler: what it makes lies in the middle."""

import pytest

from tween.core import Filler
from tween.evaluate.steps import moving
from tween.metrics import psnr
from tween.video.minterpolate import Minterpolate, graph, middle, picture, push, stepper


def test_it_finds_the_middle():
    first, truth, last = moving((96, 128), count=3)
    inner = (..., slice(24, -24), slice(24, -24))
    faded = (first + last)[None][inner] / 2
    assert psnr(middle(first, last)[None][inner], truth[None][inner]) > psnr(faded, truth[None][inner]) + 3
    assert isinstance(Minterpolate(), Filler)


def test_every_frame_in_gives_two_out_once_it_runs():
    clip = moving((32, 48), count=4)
    doubling = graph(48, 32, fps=30)
    out = [len(list(push(doubling, picture(frame), i, fps=30))) for i, frame in enumerate((*clip, *clip))]
    assert out[4:] == [2, 2, 2, 2]
    step = stepper(clip)
    for _ in range(8):  # there and back again
        step()


@pytest.mark.parametrize("size", [(33, 47), (40, 51)])
def test_odd_sizes(size):
    first, _, last = moving(size, count=3)
    assert middle(first, last).shape == (3, *size)
