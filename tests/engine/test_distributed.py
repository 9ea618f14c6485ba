"""Two processes are one with twice the batches a step, as replicas and as shards; what torchrun starts joins up."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.engine.cases import CASES, KINDS, case
from tween.core import TweenError
from tween.engine import checkpoint, distributed, train

ROOT = Path(__file__).resolve().parents[2]


def torchrun(*command, **more):
    """Two processes of `python COMMAND`, as a user starts them."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run(
        [*start, *map(str, command)], env=env, capture_output=True, text=True, timeout=300, **more
    )


def two(folder, job):
    done = torchrun("-m", "tests.engine.cases", folder, job, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Every case by two processes."""
    folder = tmp_path_factory.mktemp("two")
    two(folder, "all")
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    return folder, {name: train(case(folder, name, 1)) for name in CASES}


def close(left, right, file="last.safetensors"):
    """Same tensors to 1e-6, same step, same best."""
    (one, head), (other, head_) = checkpoint.read(left / file), checkpoint.read(right / file)
    assert one.keys() == other.keys()
    assert (head["kind"], head["step"]) == (head_["kind"], head_["step"])
    assert head.get("best") == pytest.approx(head_.get("best"), abs=1e-6)
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-6, rtol=1e-6, msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one(together, alone, kind, name):
    close(alone[0] / name, together / kind / name)


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_weights_are_whole(together, alone, kind):
    close(alone[0] / "watched", together / kind / "watched", "best.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_logged_is_of_all_processes(together, alone, kind):
    paths = (alone[0] / "plain/log.jsonl", together / kind / "plain/log.jsonl")
    one, other = ([json.loads(line) for line in path.read_text().splitlines()] for path in paths)
    assert len(one) == len(other) == 3
    for left, right in zip(one, other, strict=True):
        assert left.keys() == right.keys()
        left["samples_per_s"] = right["samples_per_s"] = 0
        assert left == pytest.approx(right, abs=1e-5)


def test_no_process_steps_where_one_is_not_finite(alone):
    assert alone[1]["poisoned"].skipped == 1  # that the others did the same is the case's equality


def test_two_then_one_then_two_and_replicas_then_shards(together, alone):
    parts = together / "parts"
    for kind in KINDS:
        assert checkpoint.header(parts / kind / "thawed/last.safetensors")["step"] == 5
        train(case(parts / kind, "thawed", 1), until=9)
    replicas, shards, aside = (parts / name for name in (*KINDS, "aside"))
    replicas.rename(aside)
    shards.rename(replicas)
    aside.rename(shards)
    two(together, "resume")
    for kind in KINDS:
        close(alone[0] / "thawed", parts / kind / "thawed")


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(TweenError, match="more processes than there are GPUs"):
        distributed.start()


def test_a_model_on_the_gpu_of_another_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    there = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=torch.device("cuda:0"))]))
    task = SimpleNamespace(modules=there)
    with pytest.raises(TweenError, match="use --device cuda"):
        distributed.own_device(task.modules)
