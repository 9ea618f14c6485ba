"""Batches of several sets: a pure function of the index, in the shares asked for, whoever makes them."""

import os
import signal
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import get_worker_info

from tests.data.layouts import vimeo, xtrain
from tween.core import TweenError
from tween.data import DATASETS
from tween.data.mixed import Part, batches, places, turn
from tween.data.source import Sample

CPU = torch.device("cpu")


def small(index):
    return 32, 32


def grown(index):
    """Crops that grow, as a curriculum has it."""
    return (32, 32) if index < 4 else (40, 48)


@dataclass(frozen=True)
class Counted:
    """`n` samples whose t is their number over 1000."""

    n: int
    flow: bool = False

    def __len__(self):
        return self.n

    def name(self, index):
        return f"/data/{index}.png"

    def draw(self, index, size, g):
        frames = torch.randint(0, 256, (3, 3, *size), generator=g, dtype=torch.uint8)
        return Sample(frames, index / 1000, torch.ones(4, *size) if self.flow else None)


class Deadly(Counted):
    """Reading sample 3 ends the process."""

    def draw(self, index, size, g):
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(index, size, g)


class Broken(Counted):
    """Sample 3 cannot be read; Ctrl-C is typed while a worker reads sample 5."""

    def draw(self, index, size, g):
        if index == 5 and get_worker_info():
            os.kill(os.getpid(), signal.SIGINT)
        if index == 3:
            raise TweenError(f"{self.name(3)} should be a picture, but cannot be read; download it again")
        return super().draw(index, size, g)


def part(source, share=1, size=small):
    return Part(source=source, share=share, size=size)


def mix(*parts, **changes):
    fields = {"batch_size": 4, "workers": 0, "seed": 5, "device": CPU}
    return batches(parts, **(fields | changes))


def numbers(triples):
    return [round(float(t) * 1000) for t in triples.t]


@given(shares=st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any), rounds=st.integers(1, 5))
def test_every_part_has_its_share_and_counts_its_batches(shares, rounds):
    parts = [part(Counted(1), s) for s in shares if s]
    turns = [turn(parts, i) for i in range(rounds * sum(shares))]
    for which, p in enumerate(parts):
        assert [number for w, number in turns if w == which] == list(range(rounds * p.share))
    for begin in range(0, len(turns), sum(shares)):  # shares hold in every round, not only on the whole
        assert [w for w, _ in turns[begin : begin + sum(shares)]] == sorted(
            w for w, p in enumerate(parts) for _ in range(p.share)
        )


@given(n=st.integers(1, 30), batch_size=st.integers(1, 40), epochs=st.integers(1, 3), seed=st.integers(0, 9))
@settings(deadline=None)
def test_every_sample_once_an_epoch(n, batch_size, epochs, seed):
    one = part(Counted(n))
    seen = [s for k in range(-(-epochs * n // batch_size)) for s in places(one, k, batch_size, seed)]
    for epoch in range(epochs):
        assert sorted(seen[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_two_to_one_and_each_batch_of_one_set():
    batch = mix(part(Counted(100), 2), part(Counted(100, flow=True), 1, grown))
    made = [batch(i) for i in range(9)]
    assert [int(b.known.sum()) for b in made] == [0, 0, 4] * 3
    sizes = [b.frames.shape[-2:] for b in made]
    assert sizes == [(32, 32)] * 5 + [(40, 48)] + [(32, 32)] * 2 + [(40, 48)]
    assert made[0].flow.shape == (4, 4, 32, 32)
    assert not made[0].flow.any()
    assert made[2].flow.eq(1).all()
    assert made[0].frames.dtype == torch.float32
    assert 0.4 < made[0].frames.mean() < 0.6
    main = [n for i in (0, 1, 3, 4, 6, 7) for n in numbers(made[i])]
    assert len(set(main)) == 24


def test_a_batch_is_a_pure_function_of_its_index():
    parts = (part(Counted(20), 2), part(Counted(30), 1))
    one, two, other = mix(*parts), mix(*parts), mix(*parts, seed=6)
    for index in (7, 0, 3, 3):
        assert torch.equal(one(index).frames, two(index).frames)
        assert torch.equal(one(index).t, two(index).t)
    assert not torch.equal(one(0).frames, other(0).frames)
    assert not torch.equal(one(0).frames, one(1).frames)


def test_workers_make_what_one_process_makes_in_the_size_of_each_batch():
    parts = (part(Counted(20), 2), part(Counted(30, flow=True), 1, grown))
    alone, two = mix(*parts), mix(*parts, workers=2, stride=2)
    for index in (1, 3, 5, 7, 9, 11, 2, 4, 6):  # from 2 on it begins anew
        left, right = alone(index), two(index)
        assert torch.equal(left.frames, right.frames)
        assert torch.equal(left.flow, right.flow)
        assert torch.equal(left.t, right.t)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_cannot_be_read_is_named_and_the_rest_goes_on(workers):
    batch = mix(part(Broken(8)), batch_size=1, workers=workers)
    said, got = [], []
    for index in range(8):
        try:
            got += numbers(batch(index))
        except TweenError as error:
            said.append(str(error))
    assert said == ["/data/3.png should be a picture, but cannot be read; download it again"]
    assert sorted(got) == [0, 1, 2, 4, 5, 6, 7]


def test_a_worker_that_dies_says_at_which_file():
    batch = mix(part(Deadly(8)), batch_size=1, workers=1)
    with pytest.raises(TweenError, match=r"one died while it read /data/3\.png; take") as said:
        list(map(batch, range(8)))
    assert "\n" not in str(said.value)
    where = [places(part(Counted(8)), i, 1, 5)[0] for i in range(8)]
    after = where.index(3) + 1
    assert numbers(batch(after)) == [where[after]]


@pytest.mark.parametrize("parts", [[], [part(Counted(3), 0)], [part(Counted(0))]])
def test_nothing_to_mix(parts):
    with pytest.raises(TweenError, match="share above 0"):
        mix(*parts)


def test_one_of_two_sets_may_be_left_out():
    assert mix(part(Counted(0), 0), part(Counted(5), 1))(3).t.shape == (4,)


def test_vimeo_and_x_train_mixed(tmp_path):
    main = DATASETS["vimeo"].train(vimeo(tmp_path / "v"))
    large = DATASETS["x4k"].train(xtrain(tmp_path / "x"))
    batch = mix(part(main, 2), part(large, 1, grown), workers=1)
    assert [batch(i).frames.shape[-2:] for i in range(6)] == [(32, 32)] * 5 + [(40, 48)]
    with pytest.raises(TweenError, match="take smaller crops"):
        mix(part(main, 1, lambda index: (512, 512)))
