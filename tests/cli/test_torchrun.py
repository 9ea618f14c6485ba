"""`torchrun -m tween train`: two processes, one run, one set of files, as replicas and as shards."""

import json

import pytest

from tests.data.made import folder
from tests.engine.test_distributed import torchrun
from tween.engine.checkpoint import read

SMALL = ["--device", "cpu", "--batch-size", "2", "--crop", "64", "64", "--workers", "1", "--no-compile"]


@pytest.mark.parametrize(
    "flags", [[], pytest.param(["--sharded"], marks=pytest.mark.long)], ids=["replicas", "shards"]
)
def test_two_processes_train_one_run(tmp_path, flags):
    where = folder(tmp_path)
    data = [f"--{name}={where[name]}" for name in ("data", "packed", "val")]
    done = torchrun("-m", "tween", "train", "fast", *data, *SMALL, "--steps", 2, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("finished at step 2") == 1
    assert "Warning" not in done.stderr
    run = tmp_path / "runs" / "fast"
    values, head = read(run / "last.safetensors")
    assert head["step"] == 2
    assert head["config"]["world"] == 2
    assert values["weights/net.trust"].shape == (2,)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert log[-1]["psnr"] > 5
    best = max((row for row in log if "psnr" in row), key=lambda row: row["psnr"])
    assert read(run / "best.safetensors")[1]["step"] == best["step"]


def test_a_mistake_is_a_sentence_there_too(tmp_path):
    done = torchrun(
        "-m", "tween", "train", "fast", "--data", ".", "--packed", ".", "--device", "cpu", cwd=tmp_path
    )
    assert done.returncode != 0
    assert "tween: . should hold videos, but has none" in done.stderr
