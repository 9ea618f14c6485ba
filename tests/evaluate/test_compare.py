"""Paired comparison: what is common to both models' pictures drops out."""

import pytest

from tests.evaluate.results import result
from tween.core import TweenError
from tween.evaluate.compare import compare

ROWS = {"a": (20.0, 0.80, 9.0), "b": (40.0, 0.99, 1.0), "c": (30.0, 0.95, 4.0)}


def moved(psnr, ssim, ie):
    return {n: (v[0] + psnr[i], v[1] + ssim, v[2] + ie) for i, (n, v) in enumerate(ROWS.items())}


def test_a_small_difference_in_every_picture_is_one():
    a, b = result("one", "vimeo", ROWS), result("two", "vimeo", moved((0.1, 0.11, 0.09), -0.001, -0.1))
    psnr, ssim, ie = compare(a, b)
    assert (psnr.measure, psnr.verdict, ssim.verdict, ie.verdict) == ("psnr", "better", "worse", "better")
    assert psnr.by.mean == pytest.approx(0.1)
    assert psnr.by.high - psnr.by.low < 0.1  # though pictures differ by 20 dB
    assert (psnr.first, psnr.second) == (a["psnr"], b["psnr"])


def test_a_difference_within_its_confidence_is_none():
    b = result("two", "vimeo", moved((1.0, -1.0, 0.3), 0.0, 0.0))
    assert [row.verdict for row in compare(result("one", "vimeo", ROWS), b)] == ["none"] * 3


def test_mistakes():
    a = result("one", "vimeo", ROWS)
    with pytest.raises(TweenError, match="one dataset"):
        compare(a, result("two", "ucf101", ROWS))
    with pytest.raises(TweenError, match="one protocol"):
        compare(a, result("two", "vimeo", ROWS, protocol="rife"))
    with pytest.raises(TweenError, match="same scenes"):
        compare(a, result("two", "vimeo", {"a": ROWS["a"]}))
