"""`tween bench time` from end to end, on small pictures."""

import json

import pytest

from tween.cli.bench import size
from tween.cli.main import main
from tween.core import TweenError


def test_every_method_at_every_size(tmp_path, capsys):
    out = tmp_path / "t.json"
    sizes = ["64x48", "96x64"]
    assert (
        main(["bench", "time", "--device", "cpu", "--sizes", *sizes, "--runs", "2", "--json", str(out)]) == 0
    )
    said = capsys.readouterr().out
    found = json.loads(out.read_text())
    rows = {(row["size"], row["model"]): row for row in found["rows"]}
    assert rows.keys() == {(s, m) for s in sizes for m in ("blend", "dis", "minterpolate", "fast")}
    assert all(row["ms"] > 0 and row["iqr"] >= 0 for row in found["rows"])
    assert all(f"{row['ms']:.2f}" in said for row in found["rows"])
    small, large = (rows[s, "fast"] for s in sizes)
    assert small["parameters"] == large["parameters"] == 1_738_198
    assert 0 < small["flops"] < large["flops"]
    assert 0 < small["computed_mib"] < large["computed_mib"]
    assert rows["64x48", "dis"]["flops"] is None
    assert found["bench"] == "time"


def test_presets_by_stem_stride(tmp_path):
    out = tmp_path / "t.json"
    arguments = [
        "--models",
        "thesis",
        "--stem-stride",
        "1",
        "4",
        "--sizes",
        "32x32",
        "--runs",
        "1",
        "--json",
        str(out),
    ]
    assert main(["bench", "time", "--device", "cpu", *arguments]) == 0
    one, four = json.loads(out.read_text())["rows"]
    assert (one["model"], four["model"]) == ("thesis-stride1", "thesis-stride4")
    assert one["parameters"] == 8_998_923
    assert one["flops"] > four["flops"]


def test_what_does_not_fit_is_said_with_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tween.evaluate.speed.budget", lambda device: 2**20)
    out = tmp_path / "t.json"
    arguments = ["--models", "blend", "fast", "--sizes", "64x64", "--runs", "1", "--json", str(out)]
    assert main(["bench", "time", "--device", "cpu", *arguments]) == 0
    blend, fast = json.loads(out.read_text())["rows"]
    assert blend["ms"] > 0
    assert fast["ms"] is None
    assert "of the 0.0 that are free" in fast["why"]
    assert fast["why"] in capsys.readouterr().out


def test_sizes():
    assert [size(s) for s in ("vimeo", "720p", "1080P", "4k", "100x60")] == [
        (256, 448),
        (720, 1280),
        (1080, 1920),
        (2160, 3840),
        (60, 100),
    ]
    for wrong in ("8k", "31x64", "64", "ax3"):
        with pytest.raises(TweenError, match="a size is"):
            size(wrong)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--models", "rife"], "no model 'rife'"),
        (["--runs", "0"], "--runs"),
        (["--json", "absent/f.json"], "--json"),
        (["--sizes", "huge"], "a size is"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "time", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1
