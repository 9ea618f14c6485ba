"""Every sample once an epoch, whoever reads: any number of processes and workers, from any batch on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_shards import samples
from tween.core import TweenError
from tween.data import prefetch
from tween.data.mixed import Part, batches, places
from tween.data.prefetch import Prefetch
from tween.data.shards import Shards, read, write
from tween.data.shuffled import TOGETHER, as_triples, order, stack

CPU = torch.device("cpu")


def square(index):
    return 32, 32


def grown(index):
    """Crops that grow, as a curriculum has it."""
    return (32, 32) if index < 3 else (40, 48)


def numbered(counts):
    """Shards of so many samples each, on no disk."""
    shard = np.repeat(np.arange(len(counts)), counts)
    paths = tuple(Path(f"{i}.tar") for i in range(len(counts)))
    return Shards(paths=paths, shard=shard, spans=np.zeros((len(shard), 6, 2), np.int64))


COUNTS = st.lists(st.integers(1, 9), min_size=1, max_size=20)


@given(
    counts=COUNTS,
    batch_size=st.integers(1, 7),
    world=st.integers(1, 5),
    workers=st.integers(1, 4),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_processes_and_workers_share_every_epoch_exactly(counts, batch_size, world, workers, epochs, seed):
    shards = numbered(counts)
    part = Part(source=shards, share=1, size=square, order=order)
    whole = epochs * len(shards)
    steps = -(-whole // batch_size)
    read_by = {}
    for rank in range(world):
        mine = range(rank, steps, world)
        for worker in range(workers):
            for index in mine[worker::workers]:
                for i, place in enumerate(places(part, index, batch_size, seed)):
                    assert (index * batch_size + i) not in read_by
                    read_by[index * batch_size + i] = place
    for epoch in range(epochs):
        seen = [read_by[place] for place in range(epoch * len(shards), (epoch + 1) * len(shards))]
        assert sorted(seen) == list(range(len(shards)))


@given(counts=COUNTS, seed=st.integers(0, 99), epoch=st.integers(0, 99))
@settings(deadline=None)
def test_reading_stays_in_a_few_shards(counts, seed, epoch):
    shards = numbered(counts)
    visited = shards.shard[order(shards, epoch, seed)].tolist()
    for i in range(len(visited)):
        half_read = set(visited[: i + 1]) & set(visited[i + 1 :])
        assert len(half_read) <= TOGETHER


def test_epochs_and_seeds_differ_and_repeat():
    shards = numbered([50, 50])
    first = order(shards, 0, 7)
    assert np.array_equal(first, order(shards, 0, 7))
    assert not np.array_equal(first, order(shards, 1, 7))
    assert not np.array_equal(first, order(shards, 0, 8))
    assert np.abs(np.diff(first)).mean() > 10  # neighbours come apart


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "s"
    write(folder, samples(11), per_shard=3)
    return folder


def make(folder, **changes):
    part = Part(source=read(folder), share=1, size=changes.pop("size", square), order=order)
    return batches([part], **({"batch_size": 4, "seed": 5, "device": CPU, "workers": 0} | changes))


def test_a_batch_is_a_pure_function_of_its_index(folder):
    one, two = make(folder), make(folder)
    for index in (2, 0, 1, 1):
        left, right = one(index), two(index)
        assert torch.equal(left.frames, right.frames)
        assert torch.equal(left.t, right.t)
        assert left.frames.shape == (4, 3, 3, 32, 32)
        assert left.frames.dtype == torch.float32
        assert left.flow.shape == (4, 4, 32, 32)
        assert left.known.tolist() == [1, 1, 1, 1]
        assert 0.3 < left.frames.mean() < 0.7
    assert not torch.equal(one(0).frames, one(3).frames)


def test_processes_with_workers_read_what_one_reads_and_go_on_anywhere(folder):
    alone = make(folder, size=grown)
    two = make(folder, size=grown, workers=2, stride=2)
    for index in (1, 3, 5, 7, 4, 6):  # from 4 on, it begins anew
        left, right = alone(index), two(index)
        assert right.frames.shape[-2:] == grown(index)
        assert torch.equal(left.frames, right.frames)
        assert torch.equal(left.flow, right.flow)


def test_the_loops_random_numbers_are_left_alone(folder):
    two = make(folder, workers=1)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    two(0)
    assert torch.equal(torch.rand(4), expected)


def broken(index):
    if index == 2:
        raise TweenError("sample 9 is broken")
    return (torch.full((2,), float(index)),)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_in_a_worker_is_the_same_sentence(workers):
    batch = Prefetch(broken, lambda x: x, workers=workers, device=CPU)
    assert batch(0).tolist() == [0, 0]
    assert batch(1).tolist() == [1, 1]
    with pytest.raises(TweenError, match=r"^sample 9 is broken$"):
        batch(2)
    assert batch(3).tolist() == [3, 3]


def test_no_more_workers_than_cores(monkeypatch):
    """Defaults are those of a large machine; on a small one torch would warn, and every worker holds torch."""
    begun = []

    def loader(*_, num_workers, **__):
        begun.append(num_workers)
        return [(torch.zeros(2),)]

    monkeypatch.setattr(prefetch, "DataLoader", loader)
    monkeypatch.setattr(prefetch, "cores", lambda: 2)
    for workers in (1, 16):
        Prefetch(broken, lambda x: x, workers=workers, device=CPU)(0)
    assert begun == [1, 2]


def test_samples_without_flow(tmp_path):
    write(tmp_path / "s", samples(3, flow=False))
    shards = read(tmp_path / "s")
    made = stack([shards.draw(i, (32, 32), torch.Generator()) for i in range(2)])
    assert made[0].dtype == torch.uint8
    triples = as_triples(*made)
    assert triples.known.tolist() == [0, 0]
    assert triples.flow.shape == (2, 4, 32, 32)
    assert not triples.flow.any()


def test_crops_that_do_not_fit_are_said_at_once(folder):
    with pytest.raises(TweenError, match="take smaller crops"):
        make(folder, size=big)


def big(index):
    return 64, 64
