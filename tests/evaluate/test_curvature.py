"""Curvature of motion that is known exactly: a picture that is shifted along a parabola."""

import pytest
import torch
import torch.nn.functional as F

from tween.evaluate.curvature import bend, foreseen, motion
from tween.ops.warp import backward_warp


def texture(seed=0, h=160, w=208):
    noise = torch.rand(1, 3, h // 4, w // 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, (h, w), mode="bicubic", align_corners=False).clamp(0, 1)


def shifted(x, y):
    """The texture moved by (x, y) px, without its border."""
    flow = torch.tensor((-x, -y)).view(1, 2, 1, 1).expand(-1, -1, 160, 208).float()
    return backward_warp(texture(), flow)[0, :, 24:-24, 24:-24]


@pytest.mark.parametrize(
    ("halfway", "offset"), [((4.0, 0.0), 0.0), ((3.0, 0.0), 1.0), ((4.0, 2.0), 2.0), ((5.5, 0.0), 1.5)]
)
def test_how_far_the_middle_lies_off_halfway(halfway, offset):
    found = bend(shifted(0.0, 0.0), shifted(*halfway), shifted(8.0, 0.0))
    assert found.motion == pytest.approx(8.0, abs=0.3)
    assert found.offset == pytest.approx(offset, abs=0.15)
    assert found.curvature == pytest.approx(offset / 8, abs=0.02)
    assert found.seen > 0.8


def test_of_what_has_nothing_in_common_nothing_is_followed():
    assert bend(texture(1)[0], texture(2)[0], texture(3)[0]).seen < 0.1


def test_where_nothing_moves_nothing_is_foreseen():
    assert foreseen(texture().expand(4, -1, -1, -1), texture()[0]) == 0.0


def test_motion_is_that_of_the_part_that_moves_most():
    """A quarter of the picture moves."""
    after = torch.cat((shifted(6.0, 0.0)[:, :, :40], shifted(0.0, 0.0)[:, :, 40:]), 2)
    assert motion(shifted(0.0, 0.0), after) == pytest.approx(6.0, abs=0.3)
    assert motion(shifted(0.0, 0.0), shifted(0.0, 0.0)) < 0.05


@pytest.mark.parametrize(
    ("places", "share"),
    [
        ([(4.0, 0.0), (0.0, 0.0), (1.0, 0.0), (4.0, 0.0), (16.0, 0.0)], 1.0),  # a parabola
        (
            [(4.0, 0.0), (0.0, 0.0), (2.0, 1.0), (4.0, 0.0), (16.0, 0.0)],
            -1.0,
        ),  # told to bend, it bends elsewhere
        ([(-8.0, 0.0), (0.0, 0.0), (4.0, 2.0), (8.0, 0.0), (16.0, 0.0)], 0.0),  # it bends, and no frame tells
    ],
)
def test_how_much_of_the_bend_four_frames_tell(places, share):
    first, before, middle, after, last = (shifted(*place) for place in places)
    found = foreseen(torch.stack((first, before, after, last)), middle)
    assert found == pytest.approx(share, abs=0.15)
