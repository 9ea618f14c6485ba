"""The named rows are the plan's experiments, each what its name says."""

from dataclasses import replace

import pytest

from tween.core import TweenError
from tween.models.interp.config import THESIS, ablations
from tween.recipes.ablate_rows import TABLES, chosen, rows
from tween.recipes.plan import PLANS, in_steps

EVERY = {row.name: row for table in TABLES for row in rows(table)}


def test_every_experiment_of_the_plan_is_there():
    asked = [f"exp1{c}" for c in "abcdefghij"] + [f"exp2{c}" for c in "abcde"] + [f"exp3{c}" for c in "abcd"]
    for name in asked:
        assert any(row.startswith(name + "-") for row in EVERY), name
    assert {"exp1e-published-merge", "exp1e-flip-scan", "data-clips", "data-layers", "data-both"} <= set(
        EVERY
    )


def test_no_two_networks_of_a_table_are_the_same_unless_something_else_differs():
    for table in TABLES:
        kinds = [replace(row, name="", about="") for row in rows(table)]
        assert all(a != b for i, a in enumerate(kinds) for b in kinds[:i] if not a.needs_vgg), table


def test_the_first_row_is_the_plans_own():
    firsts = {table: rows(table)[0] for table in TABLES}
    assert firsts["phase1"].config == replace(THESIS, phase=1)
    assert firsts["phase2"].config == THESIS
    assert (firsts["phase3"].name, firsts["phase3"].config.phase) == ("exp3d-curriculum", 3)
    assert firsts["data"].name == "data-both"
    assert firsts["backbone"].config == THESIS


def test_network_switches_are_those_of_the_config():
    nets = ablations()
    assert all(EVERY[name].config == config for name, config in nets.items())


def test_the_backbone_is_switched_within_phase_2_as_in_phase_1():
    alone, within = rows("phase1"), rows("backbone")
    assert [row.name for row in within] == [
        *(f"flow-{row.name.removeprefix('exp')}" for row in alone),
        "flow-no-backbone",
    ]
    for one, two in zip(alone, within, strict=False):
        assert two.config == replace(one.config, phase=2)
        assert two.weights == one.weights
    assert within[0].config == THESIS
    assert within[-1].config == replace(THESIS, flow_only=True)
    assert {row.plan["freeze"] for row in within} == {0}


def test_losses_of_5_5():
    by_letter = {name[6]: row.weights.composite for name, row in EVERY.items() if name.startswith("exp1j")}
    assert {k: (w.lap, w.ter, w.vgg) for k, w in by_letter.items()} == {
        "a": (1.0, 0.0, 0.0), "b": (1.0, 0.0, 0.005), "c": (1.0, 1.0, 0.0), "d": (1.0, 1.0, 0.005)
    }  # fmt: skip
    assert by_letter["d"] == EVERY["exp1c-hybrid"].weights.composite


def test_2e_differs_from_2c_by_its_teacher_alone():
    base = EVERY["exp2c-feature-warp"]
    for teacher in ("exact", "dis", "file", "given"):
        row = EVERY[f"exp2e-{teacher}"]
        assert (row.config, row.teacher, base.weights.distill) == (base.config, teacher, 0.0)
        assert row.weights.distill > 0


def test_phase_3_mixes_and_grows_as_the_plan_says():
    made = {name[:5]: row for name, row in EVERY.items() if name.startswith("exp3")}
    schedules = {
        k: in_steps(replace(PLANS[3], **row.plan), samples=64, batch_size=8, steps=300)
        for k, row in made.items()
    }
    large = {k: sum(s.is_large(i) for i in range(300)) / 300 for k, s in schedules.items()}
    assert large["exp3b"] == 1.0
    assert large["exp3c"] == large["exp3d"] == pytest.approx(1 / 3)
    assert [schedules["exp3d"].large_size(i)[0] for i in (0, 98, 99, 197, 198, 299)] == [
        256,
        256,
        384,
        384,
        512,
        512,
    ]
    assert {schedules["exp3c"].large_size(i)[0] for i in (0, 150, 299)} == {256}
    assert (made["exp3a"].trained, made["exp3b"].trained) == (False, True)


def test_rows_are_chosen_by_pattern_and_the_first_comes_along():
    names = [row.name for row in chosen(rows("phase1"), ["exp1f*", "exp1a-mamba2-only"])]
    assert names == ["exp1c-hybrid", "exp1a-mamba2-only", "exp1f-se", "exp1f-cab"]
    with pytest.raises(TweenError, match="no row is called 'exp9'; there are exp1c-hybrid"):
        chosen(rows("phase1"), ["exp9"])
    with pytest.raises(TweenError, match="no table"):
        rows("phase4")
