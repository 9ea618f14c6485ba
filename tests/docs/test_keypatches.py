"""The table of keypatches in the impute family's page is what was measured, and its picture is there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from tween.evaluate.impute import markdown

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src/tween/models/impute"
PAGE = (FOLDER / "README.md").read_text()
FOUND = json.loads((ROOT / "bench/results/keypatches.json").read_text())
MAIN = FOUND["rows"]["main"]


def cells(text):
    """(share, method) -> means of missing MSE, anchor MSE and Frechet distance."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| [\d.]+% \|", line)]
    return {tuple(row[:2]): [float(cell.split()[0]) for cell in row[2:5]] for row in rows}


def test_the_table_is_what_was_measured():
    written, measured = cells(PAGE), cells(markdown(MAIN["table"], MAIN["facts"]["floor"]))
    assert written.keys() == measured.keys()
    assert len(written) == 15
    for key, values in measured.items():
        assert written[key] == pytest.approx(values)


def test_what_is_said_of_the_intervals_holds():
    """`drift-clamp` is nearer to real pictures than IDW at every share, `drift` not surely; its error is greater."""

    def span(share, method, measure="frechet"):
        value = MAIN["table"][share][method][measure]
        return value["mean"] - (value["half"] or 0), value["mean"] + (value["half"] or 0)

    for share in ("12.5%", "25.0%", "50.0%"):
        assert span(share, "drift-clamp")[1] < span(share, "IDW")[0]
        assert (
            span(share, "drift")[1] > span(share, "IDW")[0] > MAIN["table"][share]["drift"]["frechet"]["mean"]
        )
    for share, apart in (("12.5%", True), ("25.0%", False), ("50.0%", True)):
        assert (span(share, "drift-clamp")[1] < span(share, "paired")[0]) == apart
    assert span("12.5%", "drift", "mse_missing")[0] > span("12.5%", "IDW", "mse_missing")[1]
    low, high = span("50.0%", "drift-clamp", "mse_missing")
    assert low < MAIN["table"]["50.0%"]["IDW"]["mse_missing"]["mean"] < high + 0.001
    assert (low + high) / 2 < span("50.0%", "IDW", "mse_missing")[0]


def test_the_picture_is_there_and_the_command_is_one(capsys):
    (name,) = re.findall(r"!\[.*?\]\((.*?)\)", PAGE)
    with Image.open(FOLDER / name) as sheet:
        assert sheet.height == 66 * 7
    assert FOUND["command"].partition(" --taps")[0] in PAGE
    from tween.cli.main import main

    flags = shlex.split(FOUND["command"])[2:]
    assert main(["train", *[word.replace("CIFAR10", "nowhere") for word in flags], "--device", "cpu"]) == 2
    assert "nowhere" in capsys.readouterr().err
