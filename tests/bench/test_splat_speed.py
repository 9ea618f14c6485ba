import json

import pytest

from bench import common, report, splat_speed
from tween.models.splat.config import TOY
from tween.models.splat.filler import SplatFiller
from tween.models.splat.net import SplatNet


def test_a_row_for_each_size_and_number_of_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(splat_speed, "ready", lambda *_, **__: SplatFiller(SplatNet(TOY)))
    wanted = [
        "--device",
        "cpu",
        "--runs",
        "1",
        "--sizes",
        "80x64",
        "--frames",
        "2",
        "3",
        "--precision",
        "fp32",
    ]
    splat_speed.main(wanted)
    rows = json.loads((tmp_path / "splat_speed_cpu.json").read_text())["rows"]
    assert [(row["size"], row["frames"]) for row in rows] == [("80x64", 2), ("80x64", 3)]
    for row in rows:
        assert min(row["first ms"], row["further ms"]) > 0  # on a busy machine either may take longer
        assert row["first ms"] == pytest.approx(1e3 * row["timing"]["median"])
    assert "| 80x64, N = 3 |" in report.table("splat_speed_cpu")
