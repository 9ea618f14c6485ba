"""Runs that one process and two must agree on; as a script, what torchrun starts."""

import math
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tests.engine.toy import Toy, batch, toy_run
from tween.engine import Optim, distributed, train
from tween.engine.loop import begin, take_step

KINDS = ("replicas", "shards")


class Late(Toy):
    """Layer a begins to learn at step 3, b freezes after step 6 and thaws after step 8."""

    def params(self):
        a, b = (list(module.parameters()) for module in self.modules.values())
        return {"main": [{"params": a, "begin": 3}, {"params": b}]}

    def after_step(self, step, optimizers):
        if step in (6, 8):
            self.modules["b"].requires_grad_(step == 8)


class Odd(Toy):
    """Its parameters do not divide by two, one is never used and one only in every other step, and the loss calls
    more than forward passes; a mark on a parameter decides how it decays."""

    def __init__(self):
        super().__init__()
        self.modules["gain"] = nn.PReLU(1)
        self.modules["never"] = nn.Linear(3, 5)
        self.modules["gain"].weight._no_weight_decay = True

    def params(self):
        free = [p for p in self.modules.parameters() if getattr(p, "_no_weight_decay", False)]
        rest = [p for p in self.modules.parameters() if not getattr(p, "_no_weight_decay", False)]
        assert len(free) == 1
        return {"main": [{"params": rest}, {"params": free, "lr": 3e-3}]}

    def loss(self, turn, batch, step):
        hidden = batch @ self.modules["a"].weight.T
        hidden = self.modules["gain"](hidden) if step % 2 else hidden.relu()
        return {"near": (self.modules["b"](hidden) ** 2).mean()}


class Compiled(Toy):
    """Its terms are one compiled function, not a method of a module."""

    def __init__(self):
        super().__init__()
        self.terms = torch.compile(super().loss, backend="aot_eager")

    def loss(self, turn, batch, step):
        return self.terms(turn, batch, 0)


def poisoned(index):
    """Only the second process's batch of the third step is not finite."""
    return batch(index) * (math.nan if index == 5 else 1)


def score(modules, step):
    """Sees the averaged weights, whole."""
    assert modules["a"].weight.shape == (8, 4)
    return {"score": -float(modules["b"](modules["a"](batch(99))).square().mean())}


WATCHED = {"validate": score, "best_key": "score", "eval_interval": 4}
CASES = {
    "plain": lambda: {"steps": 6, "log_interval": 2},
    "watched": lambda: {"steps": 8, **WATCHED},
    "turns": lambda: {"steps": 6, "task": Toy(two=True)},
    "thawed": lambda: {"task": Late(), "optim": Optim(lr=1e-2, warmup=2)},
    "odd": lambda: {"steps": 6, "task": Odd()},
    "compiled": lambda: {"steps": 5, "task": Compiled()},
    "poisoned": lambda: {"steps": 6, "batch": poisoned},
}
TWICE = ("thawed", "odd", "poisoned")
"""Cases in which each of the two processes accumulates two batches a step."""


def case(folder: Path, name: str, world: int, **changes):
    """The run called `name` as one of `world` processes: the same batches a step whatever `world` is."""
    accumulate = (2 if name in TWICE else 1) * (2 if world == 1 else 1)
    return replace(toy_run(folder / name, **CASES[name](), accumulate=accumulate), **changes)


def sitting(folder: Path, name: str, sharded: bool, until: int | None = None) -> None:
    """One of two processes trains the case called `name`."""
    run = case(folder / KINDS[sharded], name, 2, sharded=sharded)
    train(run, until=until)
    parts = [p.to_local().numel() for p in run.task.modules.parameters() if hasattr(p, "to_local")]
    everything = sum(p.numel() for p in run.task.modules.parameters())
    assert 0.3 < sum(parts) / everything < 0.7 if sharded else not parts


def messages(folder: Path, sharded: bool, accumulate: int) -> Counter[str]:
    """What the processes send each other in one step of several turns, once all is set up."""
    run = toy_run(folder / "messages", task=Toy(two=True), accumulate=accumulate, sharded=sharded)
    ranks = distributed.start()
    state = begin(run, False, ranks)
    take_step(run, state, ranks)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        take_step(run, state, ranks)
    return Counter(event.name for event in profile.events() if event.name.startswith("c10d::"))


def main(folder: Path, job: str) -> None:
    """What torchrun starts; `resume` needs what `all` and one process left in `parts`."""
    ranks = distributed.start()
    with distributed.first():
        before = (folder / "first").exists()
        (folder / "first").touch()
    assert before == (ranks.rank > 0) or job != "all"
    for sharded in (False, True):
        for name in CASES if job == "all" else ():
            sitting(folder, name, sharded)
        sitting(folder / "parts", "thawed", sharded, until=5 if job == "all" else None)
        one, four = (messages(folder, sharded, accumulate) for accumulate in (1, 4))
        assert one == four, (one, four)
        assert sum(one.values()) > 0
    distributed.stop()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2])
