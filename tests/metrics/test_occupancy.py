"""How classes are filled, and the rule by which 1024 of them fall back to 512."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from tween.core import TweenError
from tween.metrics.occupancy import Rule, broken, occupancy, settle


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_occupancy_is_numpys_and_scipys(labels):
    count = np.bincount(labels, minlength=7)
    found = occupancy(torch.tensor(labels), 7)
    assert (found.classes, found.samples, found.used) == (7, len(labels), np.count_nonzero(count))
    assert (found.mean, found.median) == pytest.approx((count.mean(), np.median(count)))
    assert (found.p10, found.p90) == pytest.approx(tuple(np.quantile(count, (0.1, 0.9))))
    assert found.near_empty == pytest.approx((count <= 1).mean())
    assert found.entropy == pytest.approx(entropy(count))
    assert found.perplexity == pytest.approx(math.exp(entropy(count)))
    assert found.dominance == pytest.approx(count.max() / count.sum())


def filled(classes, *, empty=0, first=4):
    """Four samples a class, `first` in class 0, none in the last `empty`."""
    return occupancy(
        torch.cat([torch.arange(classes - empty).repeat(4), torch.zeros(first - 4).long()]), classes
    )


def test_1024_classes_stay_where_they_are_filled():
    assert settle(filled(1024)) == (1024, "1024 classes stay: none of the limits is passed.")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (filled(1024, empty=200), "20% of them have at most one sample (limit 10%)"),
        (filled(1024, first=400), "one holds 8.9% of the samples (limit 5%)"),
        (filled(1024, first=9000), "their entropy is 0.40"),
    ],
)
def test_1024_classes_fall_back_to_512_for_a_stated_reason(found, said):
    classes, why = settle(found)
    assert classes == 512
    assert why.startswith("1024 classes fall back to 512: ")
    assert said in why


def test_512_stay_and_are_still_told_off():
    classes, why = settle(filled(512, empty=200))
    assert classes == 512
    assert why.startswith("512 classes stay, the fewest tried: 39% of them")
    assert not broken(filled(512, empty=40), Rule(near_empty=0.1))
    assert broken(filled(512, empty=40), Rule(near_empty=0.05))


@pytest.mark.parametrize(("labels", "got"), [([0, 8], "0 to 8"), ([-1], "-1 to -1"), ([], "none")])
def test_ids_out_of_range_are_said(labels, got):
    with pytest.raises(TweenError, match=f"0 to 7, but got {got}"):
        occupancy(torch.tensor(labels), 8)
