"""Pictures kept as planes: the same pixels as before, and what detectors see of them without making all of them."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.video.clips import moving
from tween.core import Frame
from tween.video import coded, duplicates, scenes
from tween.video.coded import Coded, Planes
from tween.video.colour import Colour
from tween.video.convert import from_rgb
from tween.video.read import open_reader

FORMATS = [
    "yuv420p",
    "yuv422p10le",
    "yuv444p",
    "yuva420p",
    "gray",
    "gray16le",
    "gbrp",
    "gbrap12le",
    "nv12",
    "rgba",
]


def kept(rgb, pix_fmt="yuv420p", alpha=True) -> Coded:
    return Coded(time=Fraction(0), planes=Planes.of(from_rgb(rgb, pix_fmt, Colour()), Colour(), alpha=alpha))


def plain(frame: Coded) -> Frame:
    return Frame(time=frame.time, rgb=frame.rgb)


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("size", [(160, 1100), (67, 601), (33, 40)])
def test_thumbnails_of_planes_change_as_those_of_the_pictures(pix_fmt, size):
    """Equal but for a rounding where chroma is small; else it may lie half a pixel of the whole picture aside."""
    frames = [kept(torch.cat([frame.rgb, frame.rgb[:1]]), pix_fmt) for frame in moving(3, *size)]
    ours = [scenes.thumbnail(frame) for frame in frames]
    assert not any("rgb" in vars(frame.planes) for frame in frames)
    theirs = [scenes.thumbnail(plain(frame)) for frame in frames]
    for one, two in zip(ours, theirs, strict=True):
        assert one.shape == two.shape
        assert one.flags.c_contiguous
        assert np.abs(one.astype(int) - two).max() <= (4 if size[1] > 1024 else 1)
    jumps = [[scenes.score(a, b) for a, b in pairwise(found)] for found in (ours, theirs)]
    np.testing.assert_allclose(*jumps, atol=0.1)


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_changes_of_planes_are_those_of_the_pictures(pix_fmt):
    g = torch.Generator().manual_seed(1)
    first = next(moving(1, 200, 96)).rgb
    first = torch.cat([first, first[:1]])
    grain, mouth = torch.randn(first.shape, generator=g), first.clone()
    mouth[:, 100:106, 20:30] = 0.1
    a = kept(first, pix_fmt)
    for rgb in (first.clone(), first + 0.01 * grain, first.roll(3, 2), mouth):
        b = kept(rgb, pix_fmt)
        found = duplicates.change(duplicates.Look(a), duplicates.Look(b))
        assert not [name for frame in (a, b) for name in vars(frame.planes) if name == "rgb"]
        expected = duplicates.change(duplicates.Look(plain(kept(first, pix_fmt))), duplicates.Look(plain(b)))
        np.testing.assert_allclose(
            [found.block, found.moved, found.noise],
            [expected.block, expected.moved, expected.noise],
            atol=1e-6,
        )


def test_equal_planes_are_equal_pictures():
    rgb = next(moving(1)).rgb
    a, b = kept(rgb, "yuv420p10le"), kept(rgb, "yuv420p10le")
    assert coded.equal(a, b)
    other = b.planes.planes[2].numpy().copy()
    other[5, 7] += 1
    one = Planes(
        planes=(*b.planes.planes[:2], torch.from_numpy(other)), layout=b.planes.layout, colour=b.planes.colour
    )
    assert not coded.equal(a, Coded(time=Fraction(1), planes=one))


def test_alpha_that_is_not_wanted_is_left_out():
    rgb = torch.rand(4, 20, 30)
    assert kept(rgb, "yuva420p").rgb.shape[0] == 4
    assert torch.equal(kept(rgb, "yuva420p", alpha=False).rgb, kept(rgb, "yuva420p").rgb[:3])


def test_a_real_picture_gives_the_thumbnail_that_it_gave(shared):
    with open_reader(shared / "videos/vertical_1080x1920_phone_audio.mp4", stop=Fraction(1, 4)) as reader:
        for frame in reader:
            one, two = scenes.thumbnail(frame), scenes.thumbnail(plain(frame))
            assert np.abs(one.astype(int) - two).mean() < 0.2
