"""Queues: none twice, a target never among its positives, every sample's turn comes, and a step is a function."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.models.impute.queues import deal, of_labels

sizes = st.lists(st.integers(0, 40), min_size=2, max_size=5).filter(lambda s: sum(n > 0 for n in s) >= 1)


def queues(counts, **settings):
    labels = np.repeat(np.arange(len(counts)), counts)
    order = np.random.default_rng(0).permutation(len(labels))
    return of_labels(labels[order], len(counts), **settings), labels[order]


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(1, 50), st.integers(1, 30), st.integers(0, 1000))
def test_a_queue_holds_samples_of_its_class_none_twice(counts, size, push, step):
    found, labels = queues(counts, size=size, push=push)
    for label in found.filled:
        held = found.held(label, step)
        assert len(set(held.tolist())) == len(held)
        assert set(labels[held]) == {label}
        assert 1 <= len(held) <= min(size, counts[label])
    assert found.filled == [i for i, n in enumerate(counts) if n]


def test_every_sample_passes_by_and_newest_push_out_oldest():
    found, _ = queues([50, 3], size=10, push=4)
    steps = [set(found.held(0, step).tolist()) for step in range(14)]
    assert set.union(*steps) == set(found.members[0].tolist())
    for now, then in pairwise(steps):
        assert len(then - now) == 4 or len(now) < 10 or len(then) < 10
    assert len(found.held(1, 5)) <= 3


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(1, 12), st.integers(1, 12), st.integers(0, 6), st.integers(0, 99))
def test_what_is_dealt(counts, targets, positives, anything, step):
    found, labels = queues(counts, size=20)
    dealt = deal(found, step, classes=3, targets=targets, positives=positives, anything=anything)
    again = deal(found, step, classes=3, targets=targets, positives=positives, anything=anything)
    assert dealt.targets.tolist() == again.targets.tolist()
    assert len(set(dealt.labels.tolist())) == len(dealt.labels) == min(3, len(found.filled))
    rows = zip(
        dealt.labels,
        dealt.targets,
        dealt.target_weights,
        dealt.positives,
        dealt.positive_weights,
        strict=True,
    )
    for label, mine, weight, others, other_weight in rows:
        mine, others = (x[w > 0].tolist() for x, w in ((mine, weight), (others, other_weight)))
        assert len(set(mine)) == len(mine) >= 1
        assert len(set(others)) == len(others) >= 1
        assert not set(mine) & set(others) or counts[label] == 1 or len(found.held(int(label), step)) == 1
        assert set(labels[mine + others]) == {int(label)}
    assert len(set(dealt.anything.tolist())) == len(dealt.anything) <= anything


def test_another_seed_deals_otherwise():
    deals = [
        deal(
            queues([40, 40], seed=seed)[0], 0, classes=2, targets=8, positives=8, anything=4
        ).targets.tolist()
        for seed in (0, 1)
    ]
    assert deals[0] != deals[1]
