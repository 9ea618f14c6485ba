"""The benchmark of the toys measures what each method leaves, and its table says so."""

import pytest

from bench import common, drift_toys, report


def test_every_method_is_measured_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    drift_toys.main(["--seeds", "2", "--steps", "2", "--digits-steps", "25"])
    found = common.load("drift_toys")
    digits = {r["method"]: r for r in found["rows"] if r["what"] == "digits restored"}
    assert list(digits) == list(drift_toys.METHODS)
    fill, free, held, both, paired, _ = digits.values()
    assert (fill["error_half"], fill["anchors"]) == (0, 0)  # no chance in it
    assert free["anchors"] > 0
    assert held["anchors"] == both["anchors"] == 0
    assert paired["error"] < both["error"] < fill["error"]
    assert {r["what"] for r in found["rows"]} == {"two modes", "digits from noise", "digits restored"}
    drawn = report.table("drift_toys")
    assert f"| drifting, clamped | {held['error']:.3f} ± {held['error_half']:.3f} | 0.000 ± 0.000 |" in drawn
    assert "Between two real sets: energy" in drawn


def test_one_seed_has_no_interval():
    assert drift_toys.row("x", "m", error=[0.5]) == {
        "what": "x",
        "method": "m",
        "error": pytest.approx(0.5),
        "error_half": None,
    }
