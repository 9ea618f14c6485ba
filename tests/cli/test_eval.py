"""`tween eval` from end to end."""

import csv
import json

import pytest
from PIL import Image

from tests.data.test_triplets import scene
from tests.evaluate.results import result, times, written
from tween.cli.main import main
from tween.engine import distributed


def test_result_line_and_files(tmp_path, capsys):
    for name in ("a", "b"):
        scene(tmp_path / "set" / name)
    out = {k: tmp_path / f"result.{k}" for k in ("json", "csv", "png")}
    arguments = ["eval", "blend", "triplets", "--path", str(tmp_path / "set"), "--metrics", "psnr_div"]
    files = ["--json", str(out["json"]), "--csv", str(out["csv"]), "--sheet", str(out["png"]), "--worst", "1"]
    assert main([*arguments, *files]) == 0
    line = capsys.readouterr().out
    for word in (
        "PSNR",
        "PSNR_DIV",
        "paper protocol",
        "unrounded",
        "flow scale 1",
        "t direct",
        "no TTA",
        "2 pictures",
    ):
        assert word in line
    found = json.loads(out["json"].read_text())
    assert {"psnr", "ssim", "ie", "psnr_div", "confidence", "protocol", "model", "dataset"} <= found.keys()
    assert [row["name"] for row in found["rows"]] == ["a", "b"]
    assert found["psnr"] == sum(r["psnr"] for r in found["rows"]) / 2
    with out["csv"].open() as file:
        rows = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in r.items() if k != "name"} for r in rows] == [
        {k: v for k, v in r.items() if k != "name"} for r in found["rows"]
    ]
    with Image.open(out["png"]) as sheet:
        assert sheet.width == 4 * 320


def test_processes_share_out_the_scenes_and_the_first_tells_it_all(tmp_path, monkeypatch, capsys):
    for number, name in enumerate("abc"):
        scene(tmp_path / "set" / name, sizes=((6 + number, 4),) * 3)
    command = ["eval", "blend", "triplets", "--path", str(tmp_path / "set"), "--device", "cpu", "--json"]
    assert main([*command, str(tmp_path / "one.json")]) == 0
    alone = capsys.readouterr().out
    parts = {}

    def gathered(rows, ranks):
        parts[ranks.rank] = rows
        return [parts.get(0, ()), parts[1]]

    monkeypatch.setattr(distributed, "gathered", gathered)
    for rank, told in ((1, ""), (0, alone)):
        monkeypatch.setattr(distributed, "start", lambda rank=rank: distributed.Ranks(rank, 2))
        assert main([*command, str(tmp_path / f"{rank}.json")]) == 0
        assert capsys.readouterr().out == told
    assert [[row.name for row in parts[rank]] for rank in (0, 1)] == [["a", "c"], ["b"]]
    assert (tmp_path / "0.json").read_text() == (tmp_path / "one.json").read_text()
    assert not (tmp_path / "1.json").exists()


def test_what_is_chosen_is_what_the_line_says(tmp_path, capsys):
    scene(tmp_path / "a")
    arguments = ["eval", "dis", "triplets", "--path", str(tmp_path)]
    assert main([*arguments, "--protocol", "rife", "--tta", "on", "--times", "recursive"]) == 0
    assert "rife protocol: 8-bit" in (line := capsys.readouterr().out)
    assert "t recursive, TTA by a half turn" in line
    assert main([*arguments, "--protocol", "ema", "--tta", "off"]) == 0
    assert "no TTA" in capsys.readouterr().out


def test_compare(tmp_path, capsys):
    rows = {"a": (30.0, 0.9, 2.0), "b": (35.0, 0.95, 1.0)}
    better = {"a": (30.5, 0.9, 2.0), "b": (35.6, 0.95, 1.0)}
    a = written(tmp_path / "a.json", result("dis", "vimeo", rows))
    b = written(tmp_path / "b.json", result("fast", "vimeo", better))
    assert main(["eval", "--compare", str(a), str(b)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "vimeo, 2 pictures, paper protocol: 8-bit"
    psnr = next(line for line in lines if "psnr" in line)
    assert "+0.5500 [-0.0853, +1.1853]" in psnr  # Student's t of one degree of freedom: 12.706 * 0.05
    assert "none" in psnr


def test_targets(tmp_path, capsys):
    written(tmp_path / "a.json", result("fast", "snu-film-extreme", {"a": (25.5, 0.86, 2.0)}))
    written(tmp_path / "b.json", times(fast__1280x720=5.0))
    assert main(["eval", "fast", "--targets", "phase2", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    extreme = next(line for line in out.splitlines() if "Extreme" in line and "PSNR" in line)
    assert extreme.split()[3:] == ["25.50", "≥", "26", "miss", "≥", "25.3", "pass", "26.46", "/", "25.79"]
    latency = next(line for line in out.splitlines() if "720p" in line)
    assert "5.0" in latency
    assert len(out.strip().splitlines()) == 16  # the head and fifteen rows


def test_results_beside_those_of_papers(tmp_path, capsys):
    for model in ("fast", "dis"):
        written(tmp_path / f"{model}.json", result(model, "snu-film-extreme", {"a": (25.5, 0.86, 2.0)}))
    assert main(["eval", "dis", "--table", "--results", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| dis", "| RIFE"]
    assert "25.50/0.8600 (1 of 310)" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rife", "triplets"], "no model 'rife'"),
        (["blend", "kinetics"], "no dataset 'kinetics'"),
        (["blend", "triplets", "--json", "absent/f.json"], "--json"),
        (["blend", "triplets", "--csv", "absent/f.csv"], "--csv"),
        (["blend", "triplets"], "im1"),
        (["blend", "snu-film-hard", "--protocol", "rife"], "no protocol 'rife'"),
        (["absent.safetensors", "triplets"], "checkpoint"),
        (["blend"], "MODEL DATASET --path DIR"),
        (["--compare", "a.json", "b.json"], "tween eval --json"),
        (["--compare", "a.json"], "takes two results of --json, A.json B.json, but got a.json; give both"),
        (["--compare", "a.json", "b.json", "c.json"], "but got a.json, b.json, c.json; give both"),
        (["--compare"], "takes two results of --json, A.json B.json, but got none; give both"),
        (["--targets", "phase1", "--results", "a.json"], "tween eval --json"),
        (["--table", "--results", "a.json"], "tween eval --json"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(["eval", *arguments, "--path", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


def test_lpips_without_weights_says_how_to_get_them(tmp_path, monkeypatch, capsys):
    scene(tmp_path / "a")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    assert main(["eval", "blend", "triplets", "--path", str(tmp_path), "--metrics", "lpips"]) == 2
    error = capsys.readouterr().err
    assert "https://download.pytorch.org/models/alexnet" in error
    assert len(error.splitlines()) == 1


def test_splat_is_measured_as_any_other_model_where_a_folder_is_given(tmp_path, capsys):
    """`tween eval splat vimeo` alone is the plan's own command, with other flags."""
    assert main(["eval", "splat", "vimeo", f"--path={tmp_path}", "--device", "cpu"]) == 2
    assert "should hold sequences and tri_testlist.txt" in capsys.readouterr().err


def test_times_are_not_compared_picture_by_picture(tmp_path, capsys):
    timed = written(tmp_path / "t.json", times(fast__1280x720=5.0))
    assert main(["eval", "--compare", str(timed), str(timed)]) == 2
    assert "tells of times; give another" in capsys.readouterr().err
