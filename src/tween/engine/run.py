"""What a training run is, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from tween.core import Task, TweenError
from tween.engine.optim import Optim


@dataclass(frozen=True, kw_only=True)
class Run:
    """A whole training run; a recipe returns one.

    Attributes:
        name: its folder's name under `runs/`.
        task: modules (already on their device), losses and turns.
        batch: index -> batch, a pure function, so that a resumed run sees what an unbroken one would. Torch's
            global generator is seeded by the index before every call. A step takes the next `accumulate`
            indices, in every process.
        batch_size: samples in one batch; only the logged throughput depends on it.
        steps: optimiser steps in all; the schedule's length.
        precision: `bf16` runs `task.loss` under autocast.
        ema: decay of the moving average of the weights, which is what is validated and kept as best; 0: none.
        accumulate: batches summed into one step.
        validate: (modules holding the averaged weights, steps done) -> named values.
        best_key: the value of `validate` whose greatest marks the best weights.
        pictures: (modules holding the averaged weights, steps done) -> named pictures `3 h w` in [0, 1], drawn where
            it validates.
        patience: steps on end without a finite loss or gradient after which the run stops, the first one's batch saved.
        sharded: several processes share parameters, gradients, moments and averages instead of keeping replicas.
        minutes: stop, saved, after this much wall time; None for no limit.
        runs: the folder of all runs.
        about: what the batches are made of, for the report.
    """

    name: str
    task: Task
    batch: Callable[[int], Any]
    batch_size: int
    steps: int
    optim: Optim = field(default_factory=Optim)
    precision: Literal["fp32", "bf16"] = "fp32"
    ema: float = 0.0
    accumulate: int = 1
    seed: int = 0
    validate: Callable[[nn.ModuleDict, int], dict[str, float]] | None = None
    best_key: str | None = None
    pictures: Callable[[nn.ModuleDict, int], dict[str, Tensor]] | None = None
    eval_interval: int = 1000
    log_interval: int = 50
    save_interval: int = 1000
    patience: int = 20
    sharded: bool = False
    minutes: float | None = None
    runs: Path = Path("runs")
    tensorboard: bool = False
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (
            *("steps", "accumulate", "batch_size", "patience"),
            *("eval_interval", "log_interval", "save_interval"),
        ):
            if getattr(self, name) < 1:
                raise TweenError(f"{name} should be at least 1, but got {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise TweenError(f"ema should be a decay in [0, 1), 0 for none, but got {self.ema}")
        if self.precision not in ("fp32", "bf16"):
            raise TweenError(f"precision should be fp32 or bf16, but got {self.precision!r}")

    @property
    def folder(self) -> Path:
        """Where checkpoints and logs are: last.safetensors, best.safetensors, log.jsonl, run.json, report.md."""
        return self.runs / self.name


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `train` did.

    Attributes:
        step: steps done, over all sittings.
        finished: False when `minutes` ran out first.
        skipped: steps of this sitting whose loss or gradient was not finite; they changed nothing.
        samples_per_s: over this sitting, validation and saving left out.
        metrics: the last validation of this sitting.
        best: greatest value of `best_key` so far, None before the first validation.
    """

    step: int
    finished: bool
    skipped: int
    samples_per_s: float
    metrics: dict[str, float]
    best: float | None
    folder: Path
