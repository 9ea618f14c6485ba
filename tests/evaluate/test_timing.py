"""Times are medians with their spread; fillers are run as in a video."""

from fractions import Fraction

import torch

from tween.evaluate.steps import moving, padded, stepper
from tween.evaluate.timing import interleaved, measure, summary
from tween.models.interp.baselines import Blend


def test_the_median_and_its_spread():
    timing = summary([5.0, 1.0, 2.0, 100.0, 4.0])
    assert (timing.median, timing.least, timing.n) == (4.0, 1.0, 5)
    assert timing.iqr > 1
    assert summary([3.0]).iqr == 0


def test_cases_take_turns():
    calls = []
    found = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, runs=2, warmup=1)
    assert calls == ["a", "b"] * 3
    assert found["a"].n == found["b"].n == 2


def test_without_a_gpu_the_clock_on_the_wall_counts():
    timing, mib = measure(lambda: torch.rand(1000).sum(), 3, "cpu")
    assert timing.median > 0
    assert timing.n == 3
    assert mib == 0


class Spy(Blend):
    """Remembers what it was asked."""

    multiple = 8

    def __init__(self):
        self.asked = []

    def fill(self, state, known, known_t, query_t, cond=None):
        self.asked.append((state, known.shape, known_t, query_t))
        made, _ = super().fill(state, known, known_t, query_t)
        return made, query_t[0]


def test_each_step_is_the_next_pair_with_the_state_of_the_last():
    spy = Spy()
    step = stepper(spy, moving((30, 44), count=3))
    for _ in range(3):
        step()
    assert [state for state, *_ in spy.asked] == [None, Fraction(1, 2), Fraction(3, 2)]
    assert {shape for _, shape, *_ in spy.asked} == {(1, 2, 3, 32, 48)}
    assert [times for *_, times, _ in spy.asked] == [(k, k + 1) for k in range(3)]


def test_the_pattern_moves_by_nine_and_three():
    clip = moving((40, 60), count=3)
    assert torch.equal(clip[1][:, :37, :51], clip[0][:, 3:, 9:])
    assert clip.min() >= 0
    assert clip.max() <= 1
    assert padded(clip, 16).shape == (3, 3, 48, 64)
