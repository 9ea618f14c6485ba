"""Toys: shapes that fly and bounce, mazes in which every room is reached, ways that keep off the walls."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.data import toys


def test_shapes_fly_evenly_and_stay_inside():
    clips, labels = toys.shapes(60, t=7, side=24, seed=1)
    assert clips.shape == (60, 7, 3, 24, 24)
    assert set(labels.tolist()) <= set(range(9))
    bright = clips.float().amax(2)
    grid = torch.arange(24.0)
    cover = (bright - 26).clamp(min=0)
    area = cover.sum((2, 3))
    assert (area.amin(1) / area.amax(1)).min() > 0.9  # nothing flies out
    x = (cover.sum(2) * grid).sum(2) / cover.sum((2, 3))
    free = (x.diff(n=2, dim=1).abs() < 0.1).float().mean()  # but where it bounced
    assert free > 0.5


def test_a_class_is_a_shape_and_a_colour():
    clips, labels = toys.shapes(80, seed=2)
    peak = clips.float().amax((1, 3, 4))
    assert (peak.argmax(1) == labels % 3).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_every_room_is_reached_on_one_way(seed):
    walls = toys.maze(seed)
    rooms = ~walls[1::2, 1::2]
    assert rooms.all()
    assert (~walls).sum() == 2 * toys.ROOMS**2 - 1  # a tree: doors are one fewer than rooms
    reached, todo = {(1, 1)}, [(1, 1)]
    for y, x in todo:
        near = {(y, x + 1), (y + 1, x), (y, x - 1), (y - 1, x)} - reached
        new = [cell for cell in near if not walls[cell]]
        reached |= set(new)
        todo += new
    assert len(reached) == (~walls).sum()
    assert np.array_equal(walls, toys.maze(seed))


def test_ways_keep_off_the_walls_and_a_straight_line_does_not():
    ways, labels = toys.paths(64, t=65, seed=3)
    assert ways.shape == (64, 65, 2, 1, 1)
    assert toys.in_walls(ways, labels) == 0
    step = ways[..., 0, 0].diff(dim=1).norm(dim=2)
    assert (step.amax(1) / step.mean(1)).max() < 1.2
    line = torch.linspace(0, 1, 65)[None, :, None, None, None]
    assert toys.in_walls(ways[:, :1].lerp(ways[:, -1:], line), labels) > 0.2
