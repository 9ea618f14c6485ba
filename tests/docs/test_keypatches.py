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
PAGE = (FOLDER / "README.md").read_text().split("## Keypatches of CIFAR-10, measured")[1].split("### ")[0]
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
    """Drifting is nearer to real pictures than all others, the regression nearer to the truth."""

    def span(share, method, measure="frechet"):
        value = MAIN["table"][share][method][measure]
        return value["mean"] - (value["half"] or 0), value["mean"] + (value["half"] or 0)

    for share in MAIN["table"]:
        for drifting in ("drift", "drift-clamp"):
            for other in ("IDW", "harmonic", "paired-clamp"):
                assert span(share, drifting)[1] < span(share, other)[0]
            assert span(share, "paired-clamp", "mse_missing")[1] < span(share, drifting, "mse_missing")[0]
    errors = [
        [span(share, name, "mse_missing") for name in ("drift-clamp", "IDW")] for share in MAIN["table"]
    ]
    assert errors[0][0][0] > errors[0][1][1]
    assert errors[1][0][0] < errors[1][1][1]
    assert errors[2][0][1] < errors[2][1][0]
    for share, nearer in (("12.5%", "drift-clamp"), ("50.0%", "drift")):
        (other,) = {"drift", "drift-clamp"} - {nearer}
        assert span(share, nearer)[1] < span(share, other)[0]
    assert span("25.0%", "drift")[1] > span("25.0%", "drift-clamp")[0]


def test_the_picture_is_there_and_the_command_is_one(capsys):
    (name,) = re.findall(r"!\[.*?\]\((.*?)\)", PAGE)
    with Image.open(FOLDER / name) as sheet:
        assert sheet.height == 66 * 7
    assert FOUND["command"] in re.sub(r" \\\n +", " ", PAGE)
    from tween.cli.main import main

    flags = shlex.split(FOUND["command"])[2:]
    assert main(["train", *[word.replace("CIFAR10", "nowhere") for word in flags], "--device", "cpu"]) == 2
    assert "nowhere" in capsys.readouterr().err
