"""The step of Wan's shape is measured, at toy size here, and beside the plan's figure."""

import json

import pytest

from bench import common, impute_wan


def test_a_step_is_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    small = [
        "--layers",
        "1",
        "--width",
        "32",
        "--size",
        "4",
        "6",
        "--latents",
        "5",
        "--runs",
        "3",
        "--device",
        "cpu",
    ]
    impute_wan.main(small)
    found = json.loads((tmp_path / "impute_wan_cpu.json").read_text())
    (row,) = found["rows"]
    assert row["tokens"] == 5 * 2 * 3
    assert 0 < row["fastest"] <= row["step_seconds"] <= row["slowest"]
    assert row["latents_per_second"] == pytest.approx(2 * 5 / row["step_seconds"])
    assert found["plan"]["step_seconds"] == 2.64
