"""A network over tiles: what it does pixel by pixel it does everywhere, and no tile leaves a seam."""

from itertools import count, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tween.models.impute.tiles import enough, tiled
from tween.ops.tiles import ramp, starts


@given(st.integers(8, 70), st.integers(8, 70))
def test_what_is_done_pixel_by_pixel_is_done_everywhere(h, w):
    clip = torch.rand(1, 2, 3, h, w, generator=torch.Generator().manual_seed(h * w))
    torch.testing.assert_close(tiled(lambda x: 1 - x, clip, 16, 4), 1 - clip)


@given(st.integers(16, 200))
def test_tiles_cover_all_and_share_their_borders(length):
    found = starts(length, 16, enough(length, 16, 4))
    assert found[0] == 0
    assert found[-1] == length - 16
    assert all(b - a <= 12 for a, b in pairwise(found))


def test_no_tile_is_larger_than_what_was_learned():
    seen = []
    tiled(lambda x: seen.append(x.shape[-2:]) or x, torch.rand(1, 1, 3, 40, 12), 16, 4)
    assert set(seen) == {(16, 12)}


def test_tiles_that_disagree_fade_into_one_another():
    number = count()
    made = tiled(lambda x: x * 0 + next(number), torch.zeros(1, 1, 1, 16, 28), 16, 4)
    row = made[0, 0, 0, 0]
    assert row[0] == 0
    assert row[-1] == 1
    assert row.diff().max() <= 1 / 3


def test_one_tile_counts_fully():
    assert ramp(0, 16, 16, 4, torch.zeros(1)).equal(torch.ones(16))
    assert ramp(3, 16, 40, 4, torch.zeros(1))[:6].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
