"""Codebooks: they find what is there, as sklearn does, none stays dead, and K falls back by its rule."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from tween.core import TweenError
from tween.models.impute.codebook import assigned, fitted, followed, kmeans, moving, unit, vq


def blobs(k=6, each=40, d=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    centres = unit(torch.randn(k, d, generator=g))
    label = torch.arange(k).repeat_interleave(each)
    return unit(centres[label] + 0.05 * torch.randn(k * each, d, generator=g)), label


def inertia(h, codes):
    return float((h - codes[assigned(h, codes)]).square().sum())


def test_blobs_are_found_as_well_as_sklearn_finds_them():
    h, label = blobs()
    codes = kmeans(h, 6, generator=torch.Generator().manual_seed(1))
    best = KMeans(6, n_init=10, random_state=0).fit(h.numpy())
    assert inertia(h, codes) == pytest.approx(best.inertia_, rel=1e-3)
    found = assigned(h, codes)
    assert all(len(found[label == i].unique()) == 1 for i in range(6))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12))
def test_no_code_is_empty_and_each_is_the_mean_of_its_own(seed, k):
    h = unit(torch.randn(60, 4, generator=torch.Generator().manual_seed(seed)))
    codes = kmeans(h, k, steps=200, generator=torch.Generator().manual_seed(seed))
    label = assigned(h, codes)
    assert len(label.unique()) == k
    for i in range(k):
        torch.testing.assert_close(codes[i], h[label == i].mean(0), atol=1e-4, rtol=0)


def test_equal_samples_do_not_break_it():
    codes = kmeans(torch.ones(10, 3), 4, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(codes).all()


def test_fewer_samples_than_codes_is_a_sentence():
    with pytest.raises(TweenError, match="take fewer codes"):
        kmeans(torch.rand(3, 2), 4)


def test_a_moving_codebook_follows_its_samples():
    h, _ = blobs()
    book = vq(unit(torch.randn(6, 5, generator=torch.Generator().manual_seed(7))))
    g = torch.Generator().manual_seed(0)
    for _ in range(300):
        book = followed(book, h[torch.randint(len(h), (64,), generator=g)], decay=0.9)
    best = kmeans(h, 6, generator=torch.Generator().manual_seed(1))
    assert inertia(h, book.codes) < 1.1 * inertia(h, best)


@pytest.mark.parametrize("seed", range(3))
def test_codes_that_followed_batches_are_about_as_good(seed):
    """As k-means from the same beginning."""
    h, _ = blobs()
    made, best = (make(h, 6, generator=torch.Generator().manual_seed(seed)) for make in (moving, kmeans))
    assert made.shape == best.shape
    assert inertia(h, made) < 1.05 * inertia(h, best)
    first = kmeans(h, 6, steps=0, generator=torch.Generator().manual_seed(seed))
    assert inertia(h, made) < 0.9 * inertia(h, first)


def test_a_codebook_is_fitted_by_either():
    h, _ = blobs()
    assert len(fitted(h, sizes=(6,), quantiser="vq")) == 6
    with pytest.raises(TweenError, match="take fewer codes"):
        moving(h[:3], 4)


def test_one_step_is_its_formula():
    codes = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    book = followed(vq(codes), torch.tensor([[0.8, 0.2], [1.0, 0.2], [0.0, 0.5]]), decay=0.75)
    torch.testing.assert_close(book.count, torch.tensor([1.25, 1.0]))
    torch.testing.assert_close(book.total, torch.tensor([[1.2, 0.1], [0.0, 0.875]]))
    torch.testing.assert_close(book.codes, book.total / book.count[:, None])


def test_a_dead_code_begins_again_where_samples_are_far_from_theirs():
    book = vq(torch.tensor([[1.0, 0.0], [-50.0, 0.0]]))
    h = torch.tensor([[1.0, 0.0]] * 20 + [[0.0, 1.0]])
    for _ in range(600):
        book = followed(book, h)
    assert len(assigned(h, book.codes).unique()) == 2


def test_the_number_of_codes_falls_back():
    h, _ = blobs(k=8, each=10)
    assert len(fitted(h, sizes=(8, 4), least=8)) == 8
    assert len(fitted(h, sizes=(8, 4), least=15)) == 4
    assert len(fitted(h, sizes=(8, 4), least=1000)) == 4
    assert len(fitted(h[:3], sizes=(8, 4))) == 3
