"""A schedule that ends with the minutes, by a clock that only work moves."""

import json
import time

import pytest

from tests.engine.toy import batch, toy_run
from tween.engine.sitting import WARM, fitted


class Clock:
    """Seconds that pass when a step or a validation says so."""

    now = 0.0

    def steps(self, seconds):
        """Batches that take so long each: `seconds` of the index."""

        def drawn(index):
            self.now += seconds(index)
            return batch(index)

        return drawn

    def judge(self, seconds):
        self.asked = []

        def validate(modules, step):
            self.now += seconds
            self.asked.append(step)
            return {"score": float(step)}

        return validate


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def rates(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row["lr"] for row in rows if "lr" in row]


@pytest.mark.parametrize("step", [0.1, 0.3])
def test_a_schedule_ends_just_before_the_minutes_do_and_goes_on_after(tmp_path, clock, step):
    run = toy_run(tmp_path, batch=clock.steps(lambda _: step), steps=100_000)
    report = fitted(run, 1, True)
    assert report.finished
    assert 0.85 * 60 < clock.now <= 60
    assert rates(tmp_path)[-1] < 0.15 * max(rates(tmp_path))
    assert fitted(run, 1, True).step > report.step + 3 * WARM
    assert clock.now <= 120


def test_slow_judges_are_reckoned_with(tmp_path, clock):
    run = toy_run(
        tmp_path, batch=clock.steps(lambda _: 0.2), validate=clock.judge(8), best_key="score", steps=100_000
    )
    report = fitted(run, 3, True)
    assert clock.now <= 180
    assert clock.asked[:2] == [WARM, 3 * WARM]
    assert clock.asked[-1] == report.step == report.best
    assert 3 <= len(clock.asked[2:]) <= 7
    assert rates(tmp_path)[-1] < 0.15 * max(rates(tmp_path))


def test_a_machine_that_becomes_slow_still_ends_its_schedule(tmp_path, clock):
    run = toy_run(tmp_path, batch=clock.steps(lambda index: 0.1 if index < 250 else 0.2), steps=100_000)
    assert fitted(run, 2, True).finished
    assert clock.now <= 120
    assert rates(tmp_path)[-1] < 0.15 * max(rates(tmp_path))
