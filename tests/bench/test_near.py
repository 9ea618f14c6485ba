"""Frames close to a known one, measured on a made clip."""

import json
from fractions import Fraction

from bench import common, near
from tests.infer import videos


def test_what_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    clip = videos.write(tmp_path / "in.mp4", [Fraction(i, 25) for i in range(12)], rate=25)
    near.main(["--clips", str(clip), "--start", "0"])
    rows = json.loads((tmp_path / "near.json").read_text())["rows"]
    assert [row["t"] for row in rows] == ["1/8", "1/1000"]  # the clip is too short for the longer gaps
    assert rows[-1]["known"] == 100  # the known frame itself
    assert rows[-1]["filler"] > rows[-1]["network"] + 3
    assert "t = 1/1000, 1 clips" in capsys.readouterr().out
