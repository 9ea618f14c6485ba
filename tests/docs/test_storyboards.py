"""docs/storyboards.md: its commands run, its board is one, and its picture is what its script draws."""

import json
import re
import runpy
import shlex
import sys
from functools import partial
from pathlib import Path

import pytest
import tyro
from PIL import Image

from tests.data.layouts import texture
from tests.infer import videos
from tween.cli import data, fill, interpolate, train
from tween.cli.main import main
from tween.core import exact
from tween.infer.board import read_board

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "storyboards.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def block(language):
    return blocks(language)[0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, shift in zip("abc", (0, 4, 8), strict=True):
        texture(tmp_path / f"{name}.png", shift)
    (tmp_path / "board.json").write_text(block("json"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_commands_make_what_they_say(folder, capsys):
    for line in block("sh").splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    said = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in said] == [
        "out.mp4: 61 frames",
        "out_%03d.png: 31 frames",
        "board.mp4: 61 frames",
    ]


def test_its_commands_of_training_are_ones():
    """They are run by tests/docs/test_seed_impute.py and tests/cli/test_train_impute_latents.py, in small."""
    parse = {
        "train": train.parser().parse_args,
        "data": data.parser().parse_args,
        "fill": partial(tyro.cli, fill.Options),
        "interpolate": partial(tyro.cli, interpolate.Options),
    }
    lines = [shlex.split(line)[1:] for part in blocks("sh")[1:] for line in part.splitlines()]
    assert {kind for kind, *_ in lines} == set(parse)
    for kind, *words in lines:
        assert parse[kind](args=words)


def test_its_board(folder):
    board = read_board(folder / "board.json")
    assert [(shot.time, shot.given) for shot in board.shots] == [(0, True), (1, False), (exact("5/2"), True)]
    keys = {key for frame in json.loads(block("json"))["frames"] for key in frame}
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert set(rows) == keys | {"frames", "fps", "text"}


def test_its_picture_is_drawn_by_its_script(tmp_path, monkeypatch):
    video, out = videos.write(tmp_path / "v.mp4", [i / 24 for i in range(9)]), tmp_path / "s.png"
    script = DOCS / "figures" / "storyboard.py"
    words = [str(script), str(video), "--gap", "4", "--models", "blend", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(script), run_name="__main__")
    assert Image.open(out).width == Image.open(DOCS / "figures" / "storyboard.png").width
    assert Image.open(out).height == 3 * (135 + 20 + 6) - 6
