"""Measures of a feature space: against scikit-learn, and on spaces whose answers are known."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs
from sklearn.neighbors import NearestNeighbors

from tween.core import TweenError
from tween.metrics import representation as ours


def clusters(classes=4, each=12, d=5, apart=8.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(each)
    centres = apart * torch.randn(classes, d, generator=g)
    return centres[labels] + torch.randn(len(labels), d, generator=g), labels


@settings(max_examples=25, deadline=None)
@given(n=st.integers(4, 40), d=st.integers(1, 6), classes=st.integers(2, 6), seed=st.integers(0, 99))
def test_silhouette_and_davies_bouldin_are_scikit_learns(n, d, classes, seed):
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, d, generator=g), 3 * torch.randint(0, classes, (n,), generator=g)
    found = ours.separation(x, y)
    if not 2 <= len(y.unique()) < n:
        assert found.silhouette != found.silhouette  # NaN, where scikit-learn raises
        return
    a, b = x.double().numpy(), y.numpy()
    assert found.silhouette == pytest.approx(theirs.silhouette_score(a, b), abs=1e-6)
    assert found.davies_bouldin == pytest.approx(theirs.davies_bouldin_score(a, b), rel=1e-6)


def test_the_ratio_of_distances_is_that_of_all_pairs():
    x, y = clusters()
    distance = theirs.pairwise_distances(x.double().numpy())
    same = [distance[i, j] for i in range(48) for j in range(48) if i != j and y[i] == y[j]]
    other = [distance[i, j] for i in range(48) for j in range(48) if y[i] != y[j]]
    found = ours.separation(x, y)
    assert found.ratio == pytest.approx((sum(same) / len(same)) / (sum(other) / len(other)), rel=1e-9)
    mixed = ours.separation(x, y[torch.randperm(48)])
    assert found.ratio < 0.5 < 0.9 < mixed.ratio
    assert found.silhouette > 0.4 > mixed.silhouette


def test_retrieval_is_that_of_scikit_learns_neighbours():
    x, y = clusters(apart=1.5)
    near = NearestNeighbors(n_neighbors=10).fit(x.double().numpy()).kneighbors(return_distance=False)
    same = y[torch.from_numpy(near)] == y[:, None]
    found = ours.retrieval(x, y)
    assert found["purity"] == found["top_1"] == pytest.approx(float(same[:, 0].double().mean()))
    assert found["top_5"] == pytest.approx(float(same[:, :5].double().mean()))
    assert found["top_10"] == pytest.approx(float(same.double().mean()))
    assert found["chance"] == pytest.approx(11 / 47)


def test_neighbours_agree_in_a_condition_that_shapes_the_space_and_not_in_another():
    x, y = clusters()
    text, noise = torch.eye(4)[y] + 0.01 * torch.randn(48, 4), torch.randn(48, 4)
    found = ours.retrieval(x, y, conditions={"text": text, "noise": noise})
    assert found["text_agreement"] > 0.95
    assert found["text_chance"] == pytest.approx(11 / 47, abs=0.02)
    assert abs(found["noise_agreement"] - found["noise_chance"]) < 0.15
    with pytest.raises(TweenError, match="10 neighbours needs more samples than that, but got 6"):
        ours.retrieval(x[:6], y[:6])


def test_the_kernel_sees_more_neighbours_where_classes_are_wide_and_balances_at_its_goal():
    x, y = clusters(each=40)
    found = ours.kernel(x, y)
    assert found["pos_neighbours@0.02"] < found["pos_neighbours@0.2"] <= 16
    assert found["mass_ratio@0.2"] == pytest.approx(1, abs=0.3)
    assert 0 < found["pos_p10"] < found["pos_p50"] < found["pos_p90"] < 3
    with pytest.raises(TweenError, match="4 samples or more"):
        ours.kernel(x[:4], torch.arange(4))


def test_means_over_groups():
    one, two = torch.tensor(1.0), torch.tensor(3.0)
    assert ours.kernel_means({"a/whole/scale": one, "b/scale": two, "b/v2@0.2": two}) == {
        "scale": 2,
        "v2@0.2": 3,
    }


def test_a_plane_keeps_clusters_together():
    x, y = clusters(each=15)
    laid = ours.plane(x)
    assert laid.shape == (60, 2)
    assert ours.retrieval(laid.double(), y)["purity"] > 0.95


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(TweenError, match=r"tween-video\[metrics\]"):
        ours.plane(torch.randn(9, 3), "umap")
    with pytest.raises(TweenError, match="4 samples or more, but got 3"):
        ours.plane(torch.randn(3, 3))


def test_features_and_labels_that_do_not_fit_are_said():
    with pytest.raises(TweenError, match=r"\(4, 2\) and \(3,\)"):
        ours.separation(torch.randn(4, 2), torch.arange(3))


def test_a_sample_is_without_replacement_and_repeats():
    chosen = ours.sample(5000, 100)
    assert len(chosen.unique()) == 100
    assert chosen.equal(ours.sample(5000, 100))
    assert ours.sample(7).equal(torch.arange(7))
