"""Exact numbers from what people have in hand."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tween.core import TweenError, exact


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("60000/1001", Fraction(60000, 1001)),
        (" 59.94 ", Fraction(2997, 50)),
        ("1e-3", Fraction(1, 1000)),
        (0.1, Fraction(1, 10)),
        (np.float64(0.1), Fraction(1, 10)),
        (np.float32(0.25), Fraction(1, 4)),
        (np.int64(3), Fraction(3)),
        (torch.tensor(0.5), Fraction(1, 2)),
        (True, Fraction(1)),
    ],
)
def test_numbers_of_every_kind(value, number):
    found = exact(value)
    assert found == number
    assert type(found.numerator) is int  # a numpy integer would overflow in sums of times


@given(st.fractions(), st.floats(-1e30, 1e30))
def test_what_is_exact_stays_so(fraction, real):
    assert exact(fraction) == exact(str(fraction)) == fraction
    assert float(exact(real)) == real


@pytest.mark.parametrize(
    "value",
    ["", "x", "1/0", "nan", "inf", "-inf", float("nan"), None, [1], np.array([1, 2]), "1e400", "1e-400"],
)
def test_what_is_no_number(value):
    with pytest.raises(TweenError, match="fps should be a number such as"):
        exact(value, "fps")


def test_a_power_nobody_means_is_not_written_out():
    """A hundred million digits would take minutes and gigabytes."""
    with pytest.raises(TweenError):
        exact("1e99999999")
