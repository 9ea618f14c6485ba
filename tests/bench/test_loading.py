"""Reading and training take turns over the same shards."""

import pytest
import torch

from bench import common, loading
from tween.data.shards import read


def test_the_suite_at_toy_size(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    toy = ["--samples", "12", "--batch-size", "2", "--crop", "64", "64", "--steps", "2", "--rounds", "1"]
    loading.main([*toy, "--recipes", "fast", "--workers", "1", "--device", "cpu", "--no-compile"])
    record = common.load("loading")
    rows = {row["source"]: row for row in record["rows"]}
    assert list(rows) == ["device", "png", "raw"]
    assert rows["device"]["share_of_device"] == 1
    assert rows["device"]["read_alone_per_s"] is None
    assert all(rows[name]["read_alone_per_s"] > rows[name]["samples_per_s"] > 0 for name in ("png", "raw"))
    assert record["shards"] == "made, 12 samples"


def test_made_pictures_give_png_its_usual_work(tmp_path):
    folders = loading.make(tmp_path, 3)
    png, raw = (sum(p.stat().st_size for p in folder.glob("*.tar")) for folder in folders)
    assert 0.4 < png / raw < 0.7
    assert torch.equal(read(folders[0]).load(2).frames, read(folders[1]).load(2).frames)


def test_steps_follow_one_another(monkeypatch):
    seen = []
    monkeypatch.setattr(loading, "take_step", lambda run, state, ranks: seen.append(run.batch(0)))
    monkeypatch.setattr(
        loading, "replace", lambda run, batch: type("Run", (), {"batch": staticmethod(batch)})
    )
    step = loading.stepper(type("Run", (), {"batch": staticmethod(lambda i: i)}), None)
    for _ in range(3):
        step()
    assert seen == [0, 1, 2]


def test_without_a_gpu_nothing_is_said_of_one():
    seconds, percent = loading.measure(lambda: None, 1, torch.device("cpu"))
    assert seconds >= 0
    assert percent is None
    with pytest.raises(SystemExit):
        loading.parser().parse_args(["--recipes", "nothing"])
