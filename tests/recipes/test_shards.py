"""A phase trained on shards, alone and by torchrun's processes."""

import pytest

from tests.data.test_shards import samples
from tests.recipes.toy_feed import SMALL
from tween.core import TweenError
from tween.data.shards import write
from tween.engine import train
from tween.recipes.feeds import from_shards
from tween.recipes.plan import Plan
from tween.recipes.thesis import thesis

PLAN = Plan(epochs=2, lr=1e-3, min_lr=1e-4, warmup=2, crop=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "s"
    write(folder, samples(6, h=72, w=80), per_shard=2)
    return folder


def run(folders, tmp_path, phase=1, plan=PLAN):
    feed = from_shards(folders, workers=0)
    return thesis(
        phase=phase,
        batch=feed,
        config=SMALL,
        plan=plan,
        device="cpu",
        batch_size=2,
        precision="fp32",
        runs=tmp_path,
    )


def test_an_epoch_is_what_the_shards_hold(folder, tmp_path):
    made = run([folder], tmp_path)
    assert made.steps == 6  # 2 epochs of 6 samples in batches of 2
    frames = [made.batch(i) for i in range(3)]
    times = sorted(min(t, 1 - t) * 7 for batch in frames for t in batch.t.tolist())
    assert times == pytest.approx([1, 1, 2, 2, 3, 3])  # each once, some of them reversed
    assert frames[0].frames.shape == (2, 3, 3, 64, 64)
    report = train(made, until=2)
    assert (report.step, report.skipped) == (2, 0)
    assert all(p.isfinite().all() for p in made.task.modules.parameters())


def test_several_processes_ask_for_their_own(folder, tmp_path, monkeypatch):
    from tween.engine import distributed

    monkeypatch.setattr(distributed, "start", lambda: distributed.Ranks(1, 3))
    seen = {}
    monkeypatch.setattr("tween.recipes.feeds.batches", lambda *_, **fields: seen.update(fields))
    run([folder], tmp_path)
    assert seen["stride"] == 3


def test_a_phase_that_mixes_two_sets(folder, tmp_path):
    plan = Plan(epochs=1, lr=1e-3, min_lr=1e-4, ratio=(2, 1), crop=64)
    with pytest.raises(TweenError, match="--mixed-ratio 1:0"):
        run([folder], tmp_path, phase=3, plan=plan)
    large = tmp_path / "large"
    write(large, (s._replace(t=0.5) for s in samples(4, h=72, w=80)))
    made = run([folder, large], tmp_path, phase=3, plan=plan)
    assert [made.batch(i).t.tolist() == [0.5, 0.5] for i in range(6)] == [False, False, True] * 2
