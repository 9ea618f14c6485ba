"""The phases in steps: learning rates, freezing, crops and mixing are the plan's, at any length."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR

from tween.core import TweenError
from tween.engine.optim import Optim
from tween.recipes.plan import CURRICULUM, PLANS, VIMEO, in_steps

THIRD = replace(PLANS[3], grow=CURRICULUM)


@pytest.mark.parametrize(
    ("phase", "epochs", "lr", "min_lr", "freeze"),
    [(1, 300, 2e-4, 2e-5, 0), (2, 200, 1e-4, 1e-5, 50), (3, 100, 5e-5, 5e-6, 0)],
)
def test_the_plans_numbers(phase, epochs, lr, min_lr, freeze):
    plan = PLANS[phase]
    assert (plan.epochs, plan.lr, plan.min_lr, plan.freeze) == (epochs, lr, min_lr, freeze)
    assert (plan.warmup, plan.weight_decay, plan.crop, plan.every) == (2000, 1e-4, 256, 33)
    assert plan.ratio == ((2, 1) if phase == 3 else (1, 0))
    assert in_steps(plan, samples=8, batch_size=2).halfway == (phase == 1)  # whose network is not told t


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_learning_rates_over_the_whole_length(phase):
    plan = PLANS[phase]
    schedule = in_steps(plan, samples=VIMEO, batch_size=8)
    optim = Optim(lr=plan.lr, min_lr=plan.min_lr, warmup=schedule.warmup)
    rate = [optim.rate(step, schedule.steps, 0) for step in range(0, schedule.steps, 997)]
    assert optim.rate(0, schedule.steps, 0) == pytest.approx(plan.lr / 2000)
    assert optim.rate(999, schedule.steps, 0) == pytest.approx(plan.lr / 2)
    assert optim.rate(1999, schedule.steps, 0) == optim.rate(2000, schedule.steps, 0) == plan.lr
    assert optim.rate(schedule.steps - 1, schedule.steps, 0) == pytest.approx(plan.min_lr)
    middle = 2000 + (schedule.steps - 2001) // 2
    assert optim.rate(middle, schedule.steps, 0) == pytest.approx((plan.lr + plan.min_lr) / 2, rel=1e-5)
    assert rate[3:] == sorted(rate[3:], reverse=True)


def test_the_cosine_is_torchs():
    parameter = torch.nn.Parameter(torch.zeros(1))
    sgd = torch.optim.SGD([parameter], lr=2e-4)
    theirs = CosineAnnealingLR(sgd, T_max=79, eta_min=2e-5)
    ours = Optim(lr=2e-4, min_lr=2e-5, warmup=20)
    for step in range(20, 100):
        assert ours.rate(step, 100, 0) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        sgd.step()
        theirs.step()


def test_an_epoch_is_a_pass_over_the_main_set():
    assert in_steps(PLANS[1], samples=51_313, batch_size=8).epoch == 6414
    assert in_steps(PLANS[1], samples=51_313, batch_size=8, accumulate=4).epoch == 1604
    assert in_steps(PLANS[3], samples=51_313, batch_size=8).epoch == round(1.5 * 51_313 / 8)
    only_large = replace(PLANS[3], ratio=(0, 1))
    assert in_steps(only_large, samples=4408, batch_size=8).epoch == 551


def test_the_curriculum_switches_at_33_and_66_epochs():
    schedule = in_steps(THIRD, samples=VIMEO, batch_size=8, accumulate=2)
    for epoch, side in ((0, 256), (32, 256), (33, 384), (65, 384), (66, 512), (99, 512)):
        first, last = 2 * epoch * schedule.epoch, 2 * (epoch + 1) * schedule.epoch - 1
        assert schedule.large_size(first) == schedule.large_size(last) == (side, side)
        assert schedule.main_size(first) == (256, 256)  # a frame of Vimeo90K has no more lines


def test_without_curriculum_all_crops_are_256():
    schedule = in_steps(PLANS[3], samples=VIMEO, batch_size=8)
    assert {schedule.large_size(i) for i in range(0, schedule.steps, 9973)} == {(256, 256)}


@pytest.mark.parametrize("ratio", [(2, 1), (3, 1), (1, 1), (0, 1), (1, 0), (1, 2)])
def test_batches_are_mixed_in_their_ratio(ratio):
    schedule = in_steps(replace(PLANS[3], ratio=ratio), samples=VIMEO, batch_size=8)
    turn = [schedule.is_large(i) for i in range(60)]
    main, large = ratio
    assert sum(turn) * (main + large) == large * 60
    assert turn == turn[: main + large] * (60 // (main + large))


@given(steps=st.integers(100, 10**6), batch=st.integers(1, 64), per_step=st.integers(1, 8))
def test_a_scaled_run_keeps_every_share(steps, batch, per_step):
    for plan in (PLANS[1], PLANS[2], THIRD):
        sizes = {"samples": VIMEO, "batch_size": batch, "accumulate": per_step}
        whole, scaled = in_steps(plan, **sizes), in_steps(plan, **sizes, steps=steps)
        factor = steps / whole.steps
        assert scaled.steps == steps
        assert scaled.warmup == pytest.approx(whole.warmup * factor, abs=0.51)
        assert scaled.freeze == pytest.approx(whole.freeze * factor, abs=0.51)
        assert scaled.freeze == pytest.approx(plan.freeze / plan.epochs * steps, abs=0.51)
        for (begin, side), (wanted, same) in zip(scaled.growth, whole.growth, strict=True):
            assert side == same
            assert begin == pytest.approx(wanted * factor, abs=0.51)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ratio": (0, 0)}, "mixed_ratio"),
        ({"ratio": (-1, 2)}, "mixed_ratio"),
        ({"crop": 100}, "crops should be"),
    ],
)
def test_a_plan_that_cannot_be(fields, said):
    with pytest.raises(TweenError, match=said):
        in_steps(replace(PLANS[3], **fields), samples=VIMEO, batch_size=8)
