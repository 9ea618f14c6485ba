"""docs/ablations.md is made of results alone: made-up ones here."""

import json
import runpy
from pathlib import Path

import pytest

from tests.recipes.made_results import made
from tween.core import TweenError
from tween.recipes.ablate_table import lines, markdown

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "figures" / "ablations.py"))


def put(folder, results):
    folder.mkdir()
    for i, result in enumerate(results):
        (folder / f"{i}.json").write_text(json.dumps(result))


def test_the_page_has_every_table_with_its_picture_and_verdicts(tmp_path):
    phase1 = [made("exp1c-hybrid", s) for s in (0, 1)] + [
        made("exp1a-mamba2-only", s, gain=-0.4) for s in (0, 1)
    ]
    data = [made("data-both", 0) | {"group": "d"}, made("data-layers", 0, gain=0.5) | {"group": "d"}]
    put(tmp_path / "results", phase1 + data)
    page = SCRIPT["write"](tmp_path / "results", tmp_path / "docs").read_text()
    assert page.index("## Phase 1") < page.index("## What to train on")
    assert "## Phase 2" not in page
    for some, order in (
        (phase1, ["exp1c-hybrid", "exp1a-mamba2-only"]),
        (data, ["data-both", "data-layers"]),
    ):
        assert markdown(lines(some, order)) in page
    gain = lines(phase1, ["exp1c-hybrid", "exp1a-mamba2-only"])[1].gain.mean
    assert f"Better: no row. Worse: exp1a-mamba2-only ({gain:+.2f}). No difference found: no row." in page
    for name in ("ablations-phase1", "ablations-data"):
        assert f"(figures/{name}.png)" in page
        assert (tmp_path / "docs" / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_results_of_other_settings_are_not_mixed(tmp_path):
    steps = made("exp1c-hybrid", 0)["setting"] | {"minutes": None, "steps": 900}
    longer = {"group": "longer", "setting": steps}
    put(
        tmp_path / "results",
        [
            made("exp1c-hybrid", 0),
            made("exp1c-hybrid", 0, gain=5.0) | longer,
            made("exp1c-hybrid", 1) | longer,
        ],
    )
    page = SCRIPT["write"](tmp_path / "results", tmp_path / "docs").read_text()
    assert page.count("| exp1c-hybrid |") == 2
    assert "ablations-phase1-2.png" in page
    fullest, other = (
        page.index(f"the backbone and the loss: {what}\n") for what in ("900 steps", "2 minutes")
    )
    assert fullest < other


def test_without_results_there_is_no_page(tmp_path):
    with pytest.raises(TweenError, match="run tween ablate first"):
        SCRIPT["write"](tmp_path, tmp_path)
    assert not (tmp_path / "ablations.md").exists()
