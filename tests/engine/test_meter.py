"""`Meter`: turns that are not taken in every step."""

import math

import pytest
import torch

from tween.engine.meter import Meter


def step(meter, **values):
    meter.add({name.replace("_", "/"): torch.tensor(float(value)) for name, value in values.items()})


def test_means_are_over_the_steps_that_had_a_turn():
    meter = Meter()
    for i in range(6):
        step(meter, critic_loss=i, critic_skipped=0, **({} if i % 3 else {"student_loss": 10 * i}))
    out = meter.read(samples=2)
    assert out["critic/loss"] == pytest.approx(2.5)
    assert out["student/loss"] == pytest.approx(15)
    assert meter.broken is None


def test_a_rare_turn_that_breaks_is_counted_at_its_step():
    meter = Meter(patience=2)
    for i in range(5):
        rare = {"b_loss": math.nan, "b_skipped": 1} if i == 3 else {}
        step(meter, a_loss=math.inf if i == 4 else 1, a_skipped=i == 4, **rare)
    out = meter.read(samples=1)
    assert (out["a/skipped"], out["b/skipped"], meter.skipped) == (1, 1, 2)
    assert meter.broken == (2, ["b/loss"])
