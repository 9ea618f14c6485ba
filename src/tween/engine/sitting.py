"""Training for so many minutes: a schedule that ends when they do."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from tween.engine import checkpoint
from tween.engine.loop import train
from tween.engine.run import Report, Run

WARM = 20  # steps
LATE = 30.0  # seconds that a schedule may end after the minutes rather than not at all
SHARE = 0.95  # of the time, for steps and judging; what is left is for saving


def fitted(run: Run, minutes: float, resume: bool | Path) -> Report:
    """`train` with a schedule that ends when the minutes do: a few steps say what a step takes, and two validations
    what one takes, the first of which is slow. On the way both are asked again, lest a machine that is slower than it
    was stops in the middle of its schedule.

    Args:
        resume: as of `train`.
    """
    end, spent = time.monotonic() + 60 * minutes, []
    last = run.folder / "last.safetensors" if resume is True else resume
    first = checkpoint.header(last)["step"] if last.is_file() else 0
    train(_timed(run, spent, eval_interval=first + WARM), resume=resume, until=first + WARM)  # compiles
    first += 3 * WARM
    report = train(_timed(run, spent, eval_interval=first), until=first)
    for share in (0.5, 0.6, 1.0):  # of what is left
        left = end - time.monotonic()
        stepping = SHARE * left - (_times(left / 60) + 1) * (spent[-1] if spent else 0)
        more = max(2, int(stepping * report.samples_per_s / run.batch_size))
        shorter = cut(run, report.step + more, max(left, LATE) / 60, first=report.step)
        report = train(_timed(shorter, spent), until=report.step + max(1, round(share * more)))
    return report


def _timed(run: Run, spent: list[float], **changes: Any) -> Run:
    """`run`, changed, which adds to `spent` the seconds that each validation takes."""

    def validate(modules: nn.ModuleDict, step: int) -> dict[str, float]:
        begun = time.monotonic()
        found = run.validate(modules, step)
        spent.append(time.monotonic() - begun)
        return found

    return replace(run, validate=validate if run.validate else None, **changes)


def _times(minutes: float) -> int:
    """How often a run of so many minutes is saved and validated: about every minute, twice at least."""
    return max(2, round(minutes))


def cut(run: Run, steps: int, minutes: float, first: int = 0) -> Run:
    """`run` of so many steps, stopped when the minutes are over; from step `first` on it is saved and judged about
    every minute, twice at least, and it warms up for a tenth of its steps at most."""
    every = max(1, -(-(steps - first) // _times(minutes)))
    optim = replace(run.optim, warmup=min(run.optim.warmup, steps // 10))
    return replace(run, steps=steps, optim=optim, minutes=minutes, save_interval=every, eval_interval=every)
