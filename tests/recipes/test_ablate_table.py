"""The table says what the numbers say, and calls a difference inside its confidence none."""

import numpy as np
import pytest

from tests.recipes.made_results import SETTING, made
from tween.evaluate.confidence import difference, mean
from tween.recipes.ablate_table import HEAD, conditions, lines, markdown, scores


def by_name(results, order):
    return {line.name: line for line in lines(results, order)}


def test_verdicts():
    shift = {"base": 0.0, "up": 0.5, "down": -0.5, "hardly": 0.01, "twin": 0.0}
    results = [
        made(row, seed, gain=gain, own=row if row != "twin" else "base")
        for row, gain in shift.items()
        for seed in (0, 1)
    ]
    found = by_name(results, list(shift))
    assert {name: line.verdict for name, line in found.items()} == {
        "base": "", "up": "better", "down": "worse", "hardly": "none", "twin": "the same"
    }  # fmt: skip
    base, up = ([r for r in results if r["row"] == name] for name in ("base", "up"))
    assert found["up"].psnr == mean([list(scores(r).values()) for r in up])
    assert found["up"].gain == difference([scores(r) for r in base], [scores(r) for r in up])
    assert found["up"].gain.mean == pytest.approx(
        np.mean([r["psnr"] for r in up]) - np.mean([r["psnr"] for r in base])
    )


def test_rows_keep_their_order_and_missing_ones_are_left_out():
    results = [made(row, 0) for row in ("c", "a", "b")]
    assert [line.name for line in lines(results, ["b", "x", "a", "c"])] == ["b", "a", "c"]


def test_only_seeds_that_both_have_are_compared():
    results = [made("base", 0), made("other", 0, gain=1.0), made("other", 1, gain=9.0)]
    line = by_name(results, ["base", "other"])["other"]
    assert (line.psnr.seeds, line.gain.seeds) == (2, 1)
    assert line.gain.mean == pytest.approx(1.0, abs=0.1)
    assert by_name([made("base", 0), made("other", 1)], ["base", "other"])["other"].gain is None


def test_without_the_first_row_there_is_nothing_to_compare_with():
    assert [line.verdict for line in lines([made("other", 0)], ["base", "other"])] == [""]


def test_markdown_has_a_cell_for_every_column():
    table = lines([made("base", 0), made("up", 0, gain=0.5)], ["base", "up"])
    head, rule, *body = markdown(table).splitlines()
    assert {line.count("|") for line in (head, rule, *body)} == {len(HEAD) + 1}
    psnr = table[1].psnr
    assert f"| {psnr.mean:.2f} ± {psnr.half:.2f} |" in body[1]
    gain = table[1].gain
    assert f"| {gain.mean:+.2f} ± {gain.half:.2f} | better |" in body[1]


def test_conditions_name_what_differs_between_results():
    said = conditions([made("a", 0), made("b", 0) | {"commit": "f" * 40, "seconds": 130.0}])
    assert "Each row 2 minutes (measured 121 to 130 s) on a GPU" in said
    assert f"batches of {SETTING['batch_size']} crops" in said
    assert "code at 0123456, fffffff" in said
    assert "12 scenes" in said
    assert "With one seed" in said
    assert "With one seed" not in conditions([made("a", 0), made("a", 1)])
    assert "finest level" not in said
    assert "begun with weights abc" in conditions([made("a", 0) | {"facts": {"start": "abc"}}])
    assert "at 1/2 of the frame" in conditions([made("a", 0) | {"facts": {"stem_stride": 2}}])
