"""`tween eval` from end to end."""

import json

import pytest

from tests.data.test_triplets import scene
from tween.cli.main import main


def test_result_line_and_json(tmp_path, capsys):
    for name in ("a", "b"):
        scene(tmp_path / name)
    out = tmp_path / "result.json"
    assert main(["eval", "blend", "triplets", "--path", str(tmp_path), "--json", str(out)]) == 0
    line = capsys.readouterr().out
    assert "PSNR" in line
    assert "unrounded" in line
    assert "no TTA" in line
    result = json.loads(out.read_text())
    assert {"psnr", "ssim", "ie", "protocol", "model", "dataset"} <= result.keys()
    assert [row["name"] for row in result["rows"]] == ["a", "b"]
    assert result["psnr"] == sum(r["psnr"] for r in result["rows"]) / 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rife", "triplets"], "no model 'rife'"),
        (["blend", "kinetics"], "no dataset 'kinetics'"),
        (["blend", "triplets", "--json", "absent/f.json"], "--json"),
        (["blend", "triplets"], "im1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(["eval", *arguments, "--path", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1
