"""`tween ablate` from end to end on a small network, and what it says when it cannot."""

import json
from dataclasses import replace
from functools import partial

import pytest

from tests.data import layouts
from tests.data.made import folder
from tests.data.test_flow_files import scene
from tests.recipes.toy_feed import SMALL
from tween.cli.ablate import base, laboratory, parser, settled
from tween.cli.main import main
from tween.cli.train import dashed
from tween.data import layers
from tween.models.interp.config import with_block
from tween.recipes import ablate_rows
from tween.recipes.ablate import claim, label, shared
from tween.recipes.ablate_rows import TABLES

QUICK = [
    *("--steps", "1", "--seeds", "2", "--batch-size", "2", "--crop", "64"),
    *("--precision", "fp32", "--device", "cpu", "--num_workers", "1"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    small = with_block(SMALL, backbone="gated_attn_only")
    monkeypatch.setattr(ablate_rows, "rows", partial(ablate_rows.rows, base=small))
    made = folder(tmp_path)
    flags = [word for name in ("data", "packed", "photos", "val") for word in (f"--{name}", str(made[name]))]
    return [*flags, "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]


def started_by_torchrun(monkeypatch, number):
    """As one of two processes on a machine."""
    for name, value in {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


def test_one_command_trains_what_is_missing_and_prints_one_table(place, tmp_path, capsys, monkeypatch):
    command = ["ablate", "phase1", "--rows", "exp1f-se", "exp1j-b*", *QUICK, *place]
    assert main(command) == 0
    said = capsys.readouterr().out
    table = [line for line in said.splitlines() if line.startswith("| exp")]
    assert [line.split("|")[1].strip() for line in table] == ["exp1c-hybrid", "exp1f-se"]
    assert "exp1j-b-lap-vgg is left out: its loss needs VGG-19's weights" in said
    assert "all results are there" in said
    files = list((tmp_path / "out").glob("*.json"))
    assert sorted(f.name[:-18] for f in files) == [
        "exp1c-hybrid-s0",
        "exp1c-hybrid-s1",
        "exp1f-se-s0",
        "exp1f-se-s1",
    ]
    seen = {f: f.stat().st_mtime_ns for f in files}
    assert main(command) == 0  # nothing is trained again
    assert {f: f.stat().st_mtime_ns for f in files} == seen
    again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| exp")]
    assert again == table

    gone = next(f for f in files if f.name.startswith("exp1f-se-s1"))
    gone.unlink()
    assert main([*command, "--show"]) == 1
    assert "1 of 4 results are missing" in capsys.readouterr().out
    assert not gone.exists()

    for number, tables in (("1", 0), ("0", 1)):  # as torchrun starts two: each trains alone, one tells
        started_by_torchrun(monkeypatch, number)
        assert main(command) == 0
        assert gone.exists()
        assert capsys.readouterr().out.count("| exp1f-se |") == tables


def test_a_row_is_there_also_while_another_process_trains_what_it_is_compared_with(place, tmp_path, capsys):
    command = ["ablate", "phase1", "--rows", "exp1f-se", *QUICK, *place, "--seeds", "1"]
    assert main(command) == 0
    for f in (tmp_path / "out").glob("*.json"):
        f.unlink()
    lab = laboratory(settled(parser().parse_args(dashed(command[1:]))))
    first = ablate_rows.rows("phase1")[0]
    with claim(lab.runs / f"{label(first, 0, lab)}.lock"):
        assert main(command) == 0
        assert "exp1c-hybrid, to compare with, is left to other processes" in capsys.readouterr().out
        assert main([*command, "--rows", "exp1c*", "--show"]) == 1
    assert [f.name[:-18] for f in (tmp_path / "out").glob("*.json")] == ["exp1f-se-s0"]


def test_data_rows_differ_in_their_share_of_layers(place, tmp_path):
    assert main(["ablate", "data", *QUICK, *place, "--seeds", "1"]) == 0
    found = [json.loads(f.read_text()) for f in (tmp_path / "out").glob("*.json")]
    assert len({r["psnr"] for r in found}) == 3
    assert {r["group"] for r in found} == {found[0]["group"]}


def test_flow_files_teach(tmp_path, monkeypatch, capsys):
    """exp2c and exp2e-file see the same batches; only the second hears what their flow files say."""
    monkeypatch.setattr(ablate_rows, "rows", partial(ablate_rows.rows, base=replace(SMALL, flow_only=True)))
    val, scenes = folder(tmp_path / "made")["val"], tmp_path / "scenes"
    scene(scenes / "one", 64, 96)
    where = [
        "--triplets",
        str(scenes),
        "--val",
        str(val),
        "--out",
        str(tmp_path / "out"),
        "--runs",
        str(tmp_path / "r"),
    ]
    flags = [
        *QUICK,
        "--runs",
        str(tmp_path / "r"),
        "--seeds",
        "1",
        "--num-workers",
        "0",
        "--rows",
        "exp2e-*",
        *where,
    ]
    assert main(["ablate", "phase2", *flags]) == 0
    said = capsys.readouterr().out
    assert "exp2e-given is left out" in said
    table = {
        line.split("|")[1].strip(): line.split("|")[3]
        for line in said.splitlines()
        if line.startswith("| exp")
    }
    assert set(table) == {"exp2c-feature-warp", "exp2e-exact", "exp2e-dis", "exp2e-file"}
    logs = [json.loads(f.read_text()) for f in (tmp_path / "out").glob("*.json")]
    psnr = {r["row"]: r["psnr"] for r in logs}
    assert psnr["exp2e-file"] != psnr["exp2c-feature-warp"]
    assert logs[0]["setting"]["synthetic"] == 0


def test_phase_3_on_the_plans_own_sets(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ablate_rows, "rows", partial(ablate_rows.rows, base=replace(SMALL, flow_only=True)))
    val = folder(tmp_path / "made")["val"]
    vimeo, x4k = layouts.vimeo(tmp_path / "vimeo"), layouts.xtrain(tmp_path / "x4k", size=(136, 136))
    places = [
        "--data-path",
        str(vimeo),
        "--val",
        str(val),
        "--out",
        str(tmp_path / "o"),
        "--runs",
        str(tmp_path / "r"),
    ]
    command = ["ablate", "phase3", *QUICK, "--seeds", "1", "--num-workers", "0", *places]
    assert main(command) == 1
    assert "name X4K1000FPS by --x4k-path" in capsys.readouterr().out
    assert main([*command, "--x4k-path", str(x4k)]) == 0
    said = capsys.readouterr().out
    assert "exp3a-phase2 is left out" in said
    found = {r["row"]: r for r in (json.loads(f.read_text()) for f in (tmp_path / "o").glob("*.json"))}
    assert set(found) == {"exp3d-curriculum", "exp3b-large-only", "exp3c-mixed"}
    assert (
        found["exp3b-large-only"]["psnr"] != found["exp3c-mixed"]["psnr"]
    )  # their first batches are of other sets


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_named(table, capsys):
    assert main(["ablate", table, "--list"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith(ablate_rows.rows(table)[0].name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--rows", "exp9"], "no row is called 'exp9'"),
        (["--minutes", "1"], "either minutes or steps"),
        (["--val", "nowhere"], "im1, im2 and im3"),
        (["--data", "nowhere"], "has none"),
        (["--data-path", "vimeo"], "one of them"),
        (["--val-set", "x4k"], "--val-set should be one of"),
        (["--start", "nowhere.safetensors"], "can be read"),
        (["--start", "nowhere.safetensors:flow"], "can be read"),
    ],
)
def test_mistakes_are_one_sentence(place, capsys, change, said):
    assert main(["ablate", "phase1", *QUICK, *place, *change]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_sitting_that_is_over_says_what_is_missing(place, capsys):
    timed = [*QUICK[2:], "--minutes", "5", "--sitting", "1"]
    assert main(["ablate", "phase1", "--rows", "exp1f-se", *timed, *place]) == 1
    assert "4 of 4 results are missing" in capsys.readouterr().out


def test_a_coarser_stem_for_every_row_is_a_table_of_its_own(place):
    command = ["backbone", *QUICK, *place]
    fine, coarse = (
        settled(parser().parse_args(dashed([*command, *more]))) for more in ((), ("--stem-stride", "2"))
    )
    assert (base(fine), base(coarse)["base"].stem_stride) == ({}, 2)
    row = ablate_rows.rows("backbone", **base(coarse))[0]
    assert row.config.stem_stride == 2
    assert shared(laboratory(coarse))["facts"] == shared(laboratory(fine))["facts"] | {"stem_stride": 2}


def test_results_on_layers_of_before_are_of_another_table(place, monkeypatch):
    options = settled(parser().parse_args(dashed(["backbone", *QUICK, *place])))
    before = shared(laboratory(options))["facts"]
    monkeypatch.setattr(layers, "DRAWN", layers.DRAWN + 1)
    assert shared(laboratory(options))["facts"] == before | {"layers": layers.DRAWN}


def test_the_tables_of_the_command_are_those_of_the_recipe():
    (table,) = [action for action in parser()._actions if action.dest == "table"]
    assert tuple(table.choices) == TABLES
