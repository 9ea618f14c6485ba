"""Against SciPy's matrix root."""

import numpy as np
import pytest
import torch
from scipy import linalg

from tween.core import TweenError
from tween.metrics.frechet import frechet


def test_frechet_is_that_of_scipys_matrix_root():
    g = np.random.default_rng(1)
    a, b = g.normal(size=(60, 5)) @ g.normal(size=(5, 5)), g.normal(1, 2, (40, 5))
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(cov_a @ cov_b).real
    theirs = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert frechet(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(theirs, rel=1e-9)


def test_frechet_of_few_pictures_and_of_the_same():
    few = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    assert frechet(few, few) == pytest.approx(0, abs=1e-6)
    assert frechet(few, few + 3) == pytest.approx(90, rel=1e-6)
    assert frechet(few[:, :1], few[:, 1:2]) >= 0
    with pytest.raises(TweenError, match="2 samples or more"):
        frechet(few[:1], few)
    with pytest.raises(TweenError, match=r"\(4, 10\) and \(4, 9\)"):
        frechet(few, few[:, 1:])
