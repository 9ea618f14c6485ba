"""Spaces, trials and gate are the plan's, and what is found means the same to the recipe."""

from dataclasses import replace

import optuna
import pytest

from tween.core import TweenError
from tween.models.interp.config import THESIS
from tween.recipes.plan import CURRICULUM, PLANS
from tween.recipes.search_space import SEARCHES, SPACE, WHOLE, arguments, gate

PLAN_6_2 = {
    "lr": (1e-5, 5e-4, True),
    "batch_size": (2, 4, 8),
    "weight_decay": (1e-5, 1e-3, True),
    "warmup_steps": (500, 5000),
    "loss_vgg_weight": (0.001, 0.1, True),
    "loss_ter_weight": (0.1, 2.0, True),
    "window_size": (7, 8),
    "use_ecab": (True, False),
    "use_mhc": (True, False),
    "min_lr_ratio": (0.01, 0.2, False),
}


def distribution(name):
    """What Optuna is told of a parameter."""
    study = optuna.create_study()
    trial = study.ask()
    SPACE[name](trial)
    d = trial.distributions[name]
    if isinstance(d, optuna.distributions.CategoricalDistribution):
        return d.choices
    return (d.low, d.high) if isinstance(d, optuna.distributions.IntDistribution) else (d.low, d.high, d.log)


def test_the_table_of_6_2():
    assert {name: distribution(name) for name in WHOLE} == PLAN_6_2


def test_focus_trials_and_epochs_of_6_5():
    kinds = {phase: (s.focus, s.trials, s.epochs) for phase, s in SEARCHES.items()}
    assert kinds == {
        1: (("lr", "weight_decay", "use_ecab", "use_mhc"), 30, 30),
        2: (("lr", "freeze_epochs", "loss_vgg_weight"), 20, 30),
        3: (("lr", "curriculum_T", "mixed_ratio"), 15, 30),
    }
    assert SEARCHES[1].names(whole=False) == SEARCHES[1].focus
    assert set(SEARCHES[2].names(whole=True)) == {*PLAN_6_2, "freeze_epochs"}
    assert len(SEARCHES[1].names(whole=True)) == len(PLAN_6_2)


@pytest.mark.parametrize(("psnr", "said"), [(35.0, None), (36.4, None), (34.99, "by hand"), (33.0, "by hand"),
                                           (32.99, "fault"), (None, "--baseline")])  # fmt: skip
def test_the_gate_of_6_1(psnr, said):
    if said is None:
        assert "at least 35" in gate(psnr, force=False)
        return
    with pytest.raises(TweenError, match=said):
        gate(psnr, force=False)
    assert gate(psnr, force=True).endswith("(forced)")
    assert said in gate(psnr, force=True)


def test_nothing_found_is_the_plan_itself():
    for phase in (1, 2, 3):
        found = arguments({}, phase)
        expected = replace(PLANS[3], grow=CURRICULUM) if phase == 3 else PLANS[phase]
        assert (found["plan"], found["config"], found["phase"]) == (expected, THESIS, phase)
        assert "batch_size" not in found


def test_what_is_found_reaches_the_recipe():
    found = arguments(
        {"lr": 1e-4, "min_lr_ratio": 0.05, "weight_decay": 1e-3, "warmup_steps": 700, "batch_size": 4,
         "loss_vgg_weight": 0.02, "loss_ter_weight": 0.5, "window_size": 7, "use_ecab": False, "use_mhc": True}, 1
    )  # fmt: skip
    plan, block, loss = found["plan"], found["config"].block, found["weights"].composite
    assert (plan.lr, plan.weight_decay, plan.warmup, found["batch_size"]) == (1e-4, 1e-3, 700, 4)
    assert plan.min_lr == pytest.approx(5e-6)
    assert (loss.lap, loss.ter, loss.vgg) == (1.0, 0.5, 0.02)
    assert (block.window, block.channel_attention, block.residual) == (7, "cab", "mhc")


def test_epochs_shrink_with_a_trial_and_are_whole_in_the_end():
    two = {"freeze_epochs": 40}
    assert arguments(two, 2)["plan"].freeze == 40
    assert (arguments(two, 2, epochs=30)["plan"].freeze, arguments(two, 2, epochs=30)["plan"].epochs) == (
        6,
        30,
    )
    three = {"curriculum_T": 20, "mixed_ratio": "3:1"}
    assert (arguments(three, 3)["plan"].every, arguments(three, 3)["plan"].ratio) == (20, (3, 1))
    assert arguments(three, 3, epochs=30)["plan"].every == 6
    assert arguments({}, 3, epochs=1)["plan"].every == 1
