"""Confidence over scenes and seeds: Student's interval where there is one source, honest where there are two."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tween.core import TweenError
from tween.evaluate.confidence import difference, mean, paired, student


@dataclass(frozen=True)
class Row:
    name: str
    psnr: float
    ssim: float = 0.0


@settings(max_examples=30, deadline=None)
@given(level=st.floats(0.5, 0.999), freedom=st.floats(1, 400))
def test_student_is_scipys(level, freedom):
    assert student(level, freedom) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=2e-4)


@pytest.mark.parametrize("shape", [(1, 12), (5, 1)])
def test_one_source_is_students_interval(shape):
    x = np.random.default_rng(0).normal(0.3, 1.0, shape)
    low, high = stats.ttest_1samp(x.ravel(), 0).confidence_interval(0.95)
    ours = mean(x)
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-6)
    assert ours.mean == pytest.approx(x.mean())
    assert (ours.seeds, ours.scenes) == shape


def test_two_sources_by_hand():
    """Two seeds, three scenes; sums of squares worked out on paper."""
    ours = mean([[1.0, 3.0, 5.0], [3.0, 5.0, 10.0]])
    # means: seeds 3 and 6, scenes 2, 4, 7.5, all 4.5; MS_seeds 3 (1.5^2 + 1.5^2) = 13.5, MS_scenes
    # 2 (6.25 + 0.25 + 9) / 2 = 15.5, residuals +-(.5, .5, -1): MS_rest 3 / 2
    of_seeds, of_scenes, rest = 13.5, 15.5, 1.5
    variance = (of_seeds + of_scenes - rest) / 6
    freedom = (of_seeds + of_scenes - rest) ** 2 / (of_seeds**2 / 1 + of_scenes**2 / 2 + rest**2 / 2)
    assert ours.mean == 4.5
    assert ours.half == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(variance), rel=1e-5)


def test_agreeing_seeds_leave_the_scenes_interval():
    """The residual is not taken off when there is no spread of seeds to take it from."""
    row = np.random.default_rng(1).normal(0, 1, 20)
    apart = 0.05 * np.random.default_rng(2).normal(0, 1, 20)
    apart -= apart.mean()
    ours, scenes_alone = mean([row + apart, row - apart]), stats.ttest_1samp(row, 0).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx(tuple(scenes_alone), rel=1e-5)


@pytest.mark.parametrize(("seeds", "of_seed", "least"), [(2, 0.0, 0.93), (2, 0.1, 0.88), (4, 0.1, 0.91)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(seeds, of_seed, least):
    """Crossed scenes and seeds drawn anew 400 times; 0.95 is said, and two seeds tell little of their spread."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        spread = (rng.normal(0, s, shape) for s, shape in ((of_seed, (seeds, 1)), (0.3, (1, 30))))
        held += not mean(sum(spread) + rng.normal(0, 0.1, (seeds, 30))).differs
    assert least <= held / 400 <= 0.99


def test_one_value_tells_nothing():
    ours = mean([[2.0]])
    assert (ours.mean, ours.low, ours.high) == (2.0, -math.inf, math.inf)
    assert not ours.differs


def test_paired_takes_scenes_by_name_and_finds_what_means_hide():
    rng = np.random.default_rng(4)
    scenes = rng.normal(26, 4, 30)
    gain = 0.2 + rng.normal(0, 0.1, 30)
    a = [[Row(str(i), p) for i, p in enumerate(scenes)]]
    b = [[Row(str(i), scenes[i] + gain[i]) for i in rng.permutation(30)]]
    ours = paired(a, b)
    low, high = stats.ttest_rel(
        [r.psnr for r in sorted(b[0], key=lambda r: int(r.name))], scenes
    ).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((low, high), rel=1e-5)
    assert ours.differs
    assert not mean([[r.psnr - 26 for r in b[0]]]).differs
    assert not paired(a, b, key="ssim").differs


def test_nothing_to_pair():
    with pytest.raises(TweenError, match="as many seeds"):
        paired([[Row("a", 1)]], [])
    with pytest.raises(TweenError, match="same scenes"):
        paired([[Row("a", 1)]], [[Row("b", 1)]])
    with pytest.raises(TweenError, match="same scenes"):
        difference([{"a": 1.0, "b": 2.0}], [{"a": 1.0}])
    with pytest.raises(TweenError, match="same scenes"):
        mean([[1.0], [1.0, 2.0]])
