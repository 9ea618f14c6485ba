"""Scaling is of the same recipe, the same way measured; alone it needs no torchrun."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench import common, scaling

ROOT = Path(__file__).resolve().parents[2]
TOY = ["--batch-size=1", "--crop", "64", "64", "--device=cpu", "--no-compile", "--steps=2", "--warmup=1"]


def test_ratios_are_to_one_process_in_the_same_rounds(monkeypatch, tmp_path):
    speeds = iter([10.0, 19.0, 18.0, 11.0, 21.0, 17.0, 30.0, 90.0, 80.0])
    asked = []

    def start(recipe, kind, processes, args):
        asked.append((kind, processes))
        return {"samples_per_s": next(speeds), "batch": 8, "peak_gib": 1.0}

    monkeypatch.setattr(scaling, "start", start)
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    scaling.main(["--recipes", "fast", "--rounds", "3"])
    rows = common.load("scaling")["rows"]
    assert asked == [("replicas", 1), ("replicas", 2), ("shards", 2)] * 3
    assert [row["kind"] for row in rows] == ["alone", "replicas", "shards"]
    assert [row["samples_per_s"] for row in rows] == [11.0, 21.0, 18.0]
    assert [row["ratio"] for row in rows] == pytest.approx([1, 21 / 11, 18 / 11])


@pytest.mark.parametrize("recipe", ["fast", "thesis"])
def test_a_recipe_takes_steps_over_random_batches(recipe):
    run = scaling.build(recipe, 1, (64, 64), torch.device("cpu"), compiled=False)
    state = scaling.begin(run, False, scaling.distributed.Ranks())
    before = [p.clone() for p in run.task.modules.parameters()]
    values = scaling.take_step(run, state, scaling.distributed.Ranks())
    assert values["skipped"] == 0
    assert any(not torch.equal(a, b) for a, b in zip(before, run.task.modules.parameters(), strict=True))


@pytest.mark.long
def test_two_real_processes(tmp_path):
    code = (
        "from pathlib import Path; from bench import common, scaling\n"
        f"common.RESULTS = Path({str(tmp_path)!r})\n"
        f"scaling.main(['--recipes', 'fast', '--rounds', '1', *{TOY!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads((tmp_path / "scaling.json").read_text())["rows"]
    assert [(row["kind"], row["processes"]) for row in rows] == [("alone", 1), ("replicas", 2), ("shards", 2)]
    assert all(row["samples_per_s"] > 0 for row in rows)
