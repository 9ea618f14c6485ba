"""Masks are nested, schedules are those of the facts, ends are always given."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tween.core import TweenError
from tween.models.impute.masks import (
    doubling,
    draw_levels,
    every,
    frame_order,
    geometric,
    linear,
    nested,
    patch_order,
)

seeds = st.integers(0, 2**31)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(seeds, st.integers(1, 40), st.integers(1, 40))
def test_a_denser_level_gives_all_that_a_sparser_one_gives(seed, n, t):
    for order in (patch_order(3, n, generator=generator(seed)), frame_order(3, t, generator=generator(seed))):
        masks = [nested(order, k) for k in range(order.shape[1] + 1)]
        assert all((a <= b).all() for a, b in pairwise(masks))
        assert all((mask.sum(1) == k).all() for k, mask in enumerate(masks))


@given(st.integers(2, 60), st.integers(2, 60))
def test_keyframes_by_bisection_are_as_even_as_nested_ones_can_be(t, k):
    order = frame_order(1, t)
    found = nested(order, min(k, t))[0].nonzero().flatten()
    gaps = found.diff()
    assert found[0] == 0
    assert found[-1] == t - 1
    assert gaps.max() <= 2 * gaps.min() + 1


def test_random_keyframes_have_both_ends_and_differ_from_sample_to_sample():
    mask = nested(frame_order(64, 9, generator=generator()), 4)
    assert mask[:, [0, -1]].all()
    assert len(mask.unique(dim=0)) > 10


def test_each_sample_has_its_own_number():
    order = patch_order(3, 10, generator=generator())
    assert nested(order, torch.tensor([1, 4, 10])).sum(1).tolist() == [1, 4, 10]


def test_one_frame_in_so_many():
    assert every(9, 4).nonzero().flatten().tolist() == [0, 4, 8]
    assert every(8, 3).nonzero().flatten().tolist() == [0, 3, 6, 7]
    assert nested(frame_order(1, 17), 5)[0].equal(every(17, 4))


def test_schedules_of_256_patches():
    assert geometric(256, 32, 4) == (256, 152, 91, 54, 32)
    assert doubling(256, 32, 4) == (256, 256, 128, 64, 32)
    assert linear(256, 32, 4) == (256, 200, 144, 88, 32)


@given(st.integers(1, 300), st.integers(1, 8), st.data())
def test_schedules_fall_from_all_to_k_min(n, levels, data):
    k_min = data.draw(st.integers(1, n))
    for schedule in (geometric, doubling, linear):
        counts = schedule(n, k_min, levels)
        assert len(counts) == levels + 1
        assert (counts[0], counts[-1]) == (n, k_min)
        assert all(a >= b for a, b in pairwise(counts))


@pytest.mark.parametrize("wrong", [(4, 5, 1), (4, 0, 1), (4, 2, 0)])
def test_a_schedule_that_cannot_be(wrong):
    with pytest.raises(TweenError, match="1 <= k_min <= n"):
        geometric(*wrong)


def test_levels_are_uniform_without_the_one_where_all_is_given():
    drawn = draw_levels(4000, 4, generator=generator())
    assert drawn.bincount()[1:].div(4000).sub(0.25).abs().max() < 0.03
    assert drawn.min() == 1
