"""Differences over shots, and the card of what was measured."""

import json

import pytest

from bench import report, splat_card, splat_windows
from tween.zoo import cards
from tween.zoo.registry import ZOO

FOUND = {
    "clips": {
        "n2": {"shot 0 frame 1": 30.0, "shot 0 frame 5": 30.0, "shot 1 frame 2": 20.0},
        "n4": {"shot 0 frame 1": 31.0, "shot 0 frame 5": 33.0, "shot 1 frame 2": 20.0},
    },
    "curves": {
        "n2": {"curve 0": 25.0, "curve 1": 27.0},
        "n4": {"curve 0": 28.0, "curve 1": 30.0},
    },
}


def test_windows_of_a_shot_count_once(monkeypatch):
    monkeypatch.setattr(splat_windows, "PAIRS", (("n4", "n2"),))
    clips, curves = splat_windows.differences(FOUND)
    assert (clips["mean"], clips["units"]) == (1.0, 2)
    assert clips["half"] == pytest.approx(12.706, abs=1e-3)  # Student's t of one degree of freedom times 1
    assert (curves["mean"], curves["half"]) == (3.0, 0.0)


def test_a_row_for_every_method_and_kind():
    rows = splat_windows.rows(FOUND | {"none": {"n2": {}}})
    assert [(r["kind"], r["method"]) for r in rows] == [
        ("clips", "n2"), ("clips", "n4"), ("curves", "n2"), ("curves", "n4")
    ]  # fmt: skip
    assert (rows[1]["psnr"], rows[1]["windows"]) == (26.0, 3)  # over shots, not windows


def test_the_card_says_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "__file__", str(tmp_path / "cards.py"))
    (tmp_path / "cards").mkdir()
    for kind in ("train", "photos"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "manifest.csv").write_text("source_repo,licence,licence_statement\na/b,CC0,none\n")
    table = {"model": "splat", "psnr": 26.016, "ssim": 0.87, "ie": 7.46, "rows": [1], "protocol": "p"}
    (tmp_path / "r.json").write_text(json.dumps(table))
    monkeypatch.setattr("sys.argv", ["x", "--data", str(tmp_path), "--results", str(tmp_path / "r.json")])
    splat_card.main()
    said = (tmp_path / "cards" / "splat.md").read_text()
    assert "| splat | davis30 | 26.02 |" in said
    assert report.table("splat_windows") in said
    assert ZOO["splat"].sha256 in said
