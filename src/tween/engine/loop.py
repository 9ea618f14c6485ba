"""The one training loop.

Each step, each turn: freeze what the turn does not own, zero, accumulate the sum of the loss terms, reduced over
processes with the last of them, clip, step. Then average the weights, `after_step`, log, save, validate. The host
waits for the device only where it logs, saves or validates.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.engine import checkpoint, distributed, ema, interrupt, log, optim, schedule
from tween.engine.checkpoint import State
from tween.engine.distributed import Ranks
from tween.engine.meter import Meter
from tween.engine.run import Report, Run


def train(run: Run, *, resume: bool | Path = True, until: int | None = None) -> Report:
    """Run `run` to its end or until its minutes are over; always saved when this returns.

    Args:
        resume: True goes on from `folder/last.safetensors` if it is there, a path from that checkpoint, False
            starts anew. Full and lean checkpoints both serve.
        until: stop, saved, when so many steps are done.

    Raises:
        TweenError: if a checkpoint does not fit, a turn owns what `task.modules` does not hold, `best_key` is
            not among the validated values, or `patience` steps on end were not finite.
        KeyboardInterrupt: behind the step at which Ctrl-C, SIGTERM or SIGHUP came; saved.
    """
    ranks = distributed.start()
    config = log.describe(run) | {"world": ranks.world}
    state = begin(run, resume, ranks, config)
    journal = log.Log(run, config, state.step) if ranks.rank == 0 else None
    end = run.steps if until is None else min(until, run.steps)
    meter, metrics, over = Meter(run.patience), {}, state.step >= end
    deadline = math.inf if run.minutes is None else time.monotonic() + 60 * run.minutes
    with interrupt.noted() as asked:
        if state.owed:
            with meter.paused():
                metrics = settle(run, state, config, journal, meter.samples_per_s, saves=True)
        while not over:
            meter.add(take_step(run, state, ranks))
            over = state.step == end or late(
                run, state, ranks, lambda: asked() or time.monotonic() > deadline
            )
            if state.step % run.log_interval == 0 or over:
                values = meter.read(samples=run.batch_size * run.accumulate * ranks.world)
                if journal:
                    rate = run.optim.rate(state.step - 1, run.steps, state.fresh)
                    journal.write(state.step, {"lr": rate} | values)
                over = over or meter.broken is not None
            last = state.step == run.steps
            state.owed = bool(run.validate or run.pictures) and (last or state.step % run.eval_interval == 0)
            saves = over or state.step % run.save_interval == 0
            with meter.paused():
                metrics = settle(run, state, config, journal, meter.samples_per_s, saves=saves) or metrics
    if meter.broken:
        stop(run, state.step - meter.broken.ago, meter.broken.names, ranks)
    if asked():
        raise KeyboardInterrupt(
            f"stopped at step {state.step}, saved in {run.folder}; the same command goes on"
        )
    return Report(
        step=state.step,
        finished=state.step >= run.steps,
        skipped=meter.skipped,
        samples_per_s=meter.samples_per_s,
        metrics=metrics,
        best=state.best if math.isfinite(state.best) else None,
        folder=run.folder,
    )


def begin(run: Run, resume: bool | Path, ranks: Ranks, config: dict[str, Any] | None = None) -> State:
    """The state before the next step: new, or read from a checkpoint; the same in every process.

    With `config` (`log.describe`), a checkpoint of networks that are configured otherwise is refused, although its
    tensors may fit.
    """
    modules = run.task.modules
    loss = distributed.Loss(run.task, ranks, sharded=run.sharded)  # first: shards are parameters of their own
    state = State(
        modules=modules,
        loss=loss,
        optimizers={turn: run.optim.build(groups) for turn, groups in run.task.params().items()},
        ema=ema.start(modules) if run.ema else {},
    )
    owned = {p for o in state.optimizers.values() for group in o.param_groups for p in group["params"]}
    if owned - set(modules.parameters()):
        raise TweenError(
            "a turn owns a parameter outside task.modules; put its module there, or it is never saved"
        )
    last = run.folder / "last.safetensors" if isinstance(resume, bool) else Path(resume)
    if resume and (last.exists() or not isinstance(resume, bool)):
        compare(last, config, ranks)  # first: it names the setting by which the tensors differ
        checkpoint.load(last, state)
        if config is not None and ranks.rank == 0:
            print(f"{last} goes on from step {state.step} of {run.steps}", flush=True)
    return state


def take_step(run: Run, state: State, ranks: Ranks) -> dict[str, Tensor]:
    """Every turn of one step, the average, `after_step`. Returns what to log, still on the device."""
    first = state.step * run.accumulate * ranks.world + ranks.rank
    indices = range(first, first + run.accumulate * ranks.world, ranks.world)
    batches = []
    for index in indices:
        seed(run.seed, "batch", index)
        batches.append(run.batch(index))
    values: dict[str, Tensor] = {}
    for turn in run.task.turns(state.step):
        values |= take_turn(turn, run, state, ranks, list(zip(indices, batches, strict=True)))
    if state.ema:
        ema.update(state.ema, state.modules, schedule.ema_decay(state.step, run.ema))
    run.task.after_step(state.step, state.optimizers)
    state.step += 1
    return values


def take_turn(
    turn: str, run: Run, state: State, ranks: Ranks, batches: Sequence[tuple[int, Any]]
) -> dict[str, Tensor]:
    """One optimiser's part of a step, over `batches` (their index and themselves)."""
    optimizer, terms = state.optimizers[turn], {}
    optimizer.zero_grad(set_to_none=True)
    with frozen(state.modules, optimizer, state.step):
        loss = state.loss.reducing(turn)
        for index, batch in batches:
            seed(run.seed, turn, index)
            with distributed.accumulating(loss, last=index == batches[-1][0]):
                for name, value in backward(partial(loss, turn, batch, state.step), run).items():
                    terms[name] = terms.get(name, 0) + value
    distributed.average(list(terms.values()), ranks)
    loss = torch.stack([value.float() for name, value in terms.items() if "/" not in name]).sum()
    rate = partial(run.optim.rate, state.step, run.steps, state.fresh)
    norm, skipped = optim.step(optimizer, rate=rate, clip=run.optim.clip, loss=loss)
    named = terms | {"loss_total": loss, "norm": norm, "skipped": skipped}
    return named if len(state.optimizers) == 1 else {f"{turn}/{name}": value for name, value in named.items()}


def backward(loss: Callable[[], dict[str, Tensor]], run: Run) -> dict[str, Tensor]:
    """Add one batch's share of the gradient; returns its share of each term, detached."""
    device = next(run.task.modules.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=run.precision == "bf16"):
        terms = {name: value / run.accumulate for name, value in loss().items()}
    sum(terms.values()).backward()
    return {name: value.detach() for name, value in terms.items()}


@contextmanager
def frozen(modules: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Iterator[None]:
    """In the block only those of the optimiser's own parameters need gradients that have begun to learn by `step`;
    what the task froze stays frozen."""
    owned = {p for group in optimizer.param_groups if group["begin"] <= step for p in group["params"]}
    others = [p for p in modules.parameters() if p.requires_grad and p not in owned]
    for p in others:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in others:
            p.requires_grad_(True)


def seed(*key: Any) -> None:
    """Seed torch's generators from `key`: draws depend on where a run is, not on how it got there."""
    torch.manual_seed(random.Random("/".join(map(str, key))).getrandbits(63))


def late(run: Run, state: State, ranks: Ranks, over: Callable[[], bool]) -> bool:
    """Whether to stop. Several processes agree on it only where they log, since agreeing waits."""
    if ranks.world > 1 and state.step % run.log_interval:
        return False
    device = next(state.modules.parameters()).device
    return distributed.any_of(over(), device, ranks)


def compare(path: Path, config: dict[str, Any] | None, ranks: Ranks) -> None:
    """Refuse the checkpoint at `path` if its networks were configured otherwise than in `config`; tell others."""
    if config is None:
        return
    then = checkpoint.header(path)["config"]
    for name in then.get("configs", {}).keys() & config["configs"].keys():
        for field in _differences(then["configs"][name], config["configs"][name]):
            raise TweenError(
                f"{path} is a checkpoint of another configuration ({field}); repeat the command it was trained "
                f"with, or give this run another name"
            )
    kept = ("steps", "optim", "settings", "batch_size", "accumulate", "world", "precision", "ema", "seed")
    told = _differences({name: then.get(name) for name in kept}, {name: config.get(name) for name in kept})
    if (changed := sorted(told)) and ranks.rank == 0:
        print(f"{path} goes on otherwise than it was trained: {', '.join(changed)}", flush=True)


def _differences(then: Any, now: Any, name: str = "") -> Iterator[str]:
    """Fields that both have and that differ: what a checkpoint does not know of is not held against it."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted(then.keys() & now.keys()):
            yield from _differences(then[key], now[key], f"{name}.{key}" if name else key)
    elif then != now:
        yield f"{name} was {then}, now {now}"


def stop(run: Run, step: int, names: list[str], ranks: Ranks) -> NoReturn:
    """Save the batches of `step`, which was not finite, and say so."""
    first = step * run.accumulate * ranks.world + ranks.rank
    for index in range(first, first + run.accumulate * ranks.world, ranks.world):
        seed(run.seed, "batch", index)
        values = dict(log.tensors(run.batch(index)))
        path = run.folder / f"not-finite-{index}.safetensors"
        checkpoint.write(path, values, {"kind": "batch", "step": step, "index": index})
    raise TweenError(
        f"expected a finite loss, but step {step} had none ({', '.join(names)}), and its batch is saved as {path}: "
        f"lower the learning rate or use precision fp32; the same command goes on behind it, nothing is lost"
    )


def settle(
    run: Run, state: State, config: dict[str, Any], journal: log.Log | None, speed: float, *, saves: bool
) -> dict[str, float]:
    """Save, make the validation that is owed, and save what came of it.

    It may take long: a run that is killed within it has its steps, and begins with it when it goes on.
    """
    if saves:
        save(run, state, config, journal, speed)
    if not state.owed:
        return {}
    metrics = validate(run, state, config, journal)
    state.owed = False
    if saves:
        save(run, state, config, journal, speed)
    return metrics


def save(run: Run, state: State, config: dict[str, Any], journal: log.Log | None, speed: float) -> None:
    """The checkpoint and the report."""
    checkpoint.save(run.folder / "last.safetensors", state, config)
    if journal:
        journal.report(state.step, speed)


def validate(run: Run, state: State, config: dict[str, Any], journal: log.Log | None) -> dict[str, float]:
    """The run's own validation on the averaged weights; the best of them are kept in `best.safetensors`.

    The first process, which has the journal, validates; the others wait for it.
    """
    metrics: dict[str, float] = {}
    with ema.in_place(state.ema, state.modules), distributed.unsharded(state.loss), torch.no_grad():
        if journal:
            metrics = run.validate(state.modules, state.step) if run.validate else {}
            journal.draw(state.step, run.pictures(state.modules, state.step) if run.pictures else {})
    if metrics:
        journal.write(state.step, metrics)
    if run.best_key is None:
        return metrics
    if journal and run.best_key not in metrics:
        raise TweenError(f"best_key {run.best_key!r} is not among the validated values: {', '.join(metrics)}")
    device = next(state.modules.parameters()).device
    if distributed.any_of(metrics.get(run.best_key, -math.inf) > state.best, device, state.loss.ranks):
        state.best = metrics.get(run.best_key, state.best)
        checkpoint.save_weights(run.folder / "best.safetensors", state, config)
    return metrics
