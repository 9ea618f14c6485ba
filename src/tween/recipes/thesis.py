"""How `thesis` is trained: the plan's three phases, each from the weights of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tween.core import TweenError
from tween.engine import distributed
from tween.engine.optim import Optim
from tween.engine.run import Run
from tween.evaluate import choose, middle_frames
from tween.models.interp.config import THESIS, NetConfig
from tween.models.interp.hybrid_filler import HybridFiller
from tween.models.interp.net import HybridNet
from tween.models.interp.thesis_task import ThesisTask, ThesisWeights
from tween.recipes.feeds import Batch, Feed
from tween.recipes.pictures import pictures, shown
from tween.recipes.plan import PLANS, Phase, Plan, Schedule, in_steps
from tween.recipes.start import Carried, Source, carry, find
from tween.zoo.load import place

Validate = Callable[[nn.ModuleDict, int], dict[str, float]]


def thesis(
    *,
    phase: Phase,
    batch: Feed | Batch,
    config: NetConfig | None = None,
    plan: Plan | None = None,
    weights: ThesisWeights | None = None,
    name: str | None = None,
    device: str = "auto",
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int = 8,
    grad_accum: int = 1,
    lr: float | None = None,
    freeze_backbone: int | None = None,
    compiled: bool = False,
    vgg: nn.Module | None = None,
    start: str | Path | Sequence[Source] | None = None,
    validate: Validate | None = None,
    eval_interval: int = 1,
    seed: int = 0,
    runs: Path = Path("runs"),
    **fields: Any,
) -> Run:
    """A run of one phase.

    Args:
        phase: sets the plan, the losses and `config.phase`.
        batch: a feed, or a function of the batch's index; an epoch is then one of Vimeo90K.
        config: the network; by default `THESIS`.
        plan: instead of the plan's own, for what has no argument here (ratio, crops, warm-up, weight decay).
        weights: of the losses.
        name: the run's folder under `runs`.
        steps: of the whole run; warm-up, freezing and curriculum keep their shares of it.
        epochs, lr, freeze_backbone: instead of the plan's; `lr` keeps the ratio to its end.
        grad_accum: batches summed into one step.
        vgg: features of the perceptual term; None leaves it out.
        start: weights to begin from: a run's NAME, NAME_best or a file; or parts of several files.
        validate: (modules, step) -> values, of which `psnr` marks the best weights.
        eval_interval: epochs between validations; of a run of so many `steps`, tenths if they are shorter.
        fields: of the `Run`, such as minutes, precision (bf16), patience (1), ema, tensorboard, sharded.

    Raises:
        TweenError: on what does not fit together, in one sentence.
    """
    plan = _changed(_planned(phase, plan), epochs=epochs, lr=lr, freeze=freeze_backbone)
    ranks, where = distributed.start(), place(device)
    feed = batch if isinstance(batch, Feed) else Feed(draw=lambda *_: batch)
    sizes = {"samples": feed.samples, "batch_size": batch_size, "accumulate": grad_accum}
    schedule = in_steps(plan, **sizes, world=ranks.world, steps=steps)
    torch.manual_seed(seed)  # a run is a function of its arguments
    net = HybridNet(replace(config or THESIS, phase=phase))
    carried = _carried(net, start, runs, ranks) if start else None
    task = ThesisTask(net, weights, freeze=schedule.freeze, vgg=vgg, compile_=_wrap(compiled))
    task.modules.to(where, memory_format=torch.channels_last)  # as tokens lie: nothing is turned round
    every = schedule.epoch if steps is None else max(1, min(schedule.epoch, steps // 10))
    draw = feed.draw(schedule, batch_size, seed, where)
    validate = validate or (partial(middle_psnr, scenes=feed.scenes) if feed.scenes else None)
    return Run(
        name=name or f"phase{phase}",
        task=task,
        batch=draw,
        batch_size=batch_size,
        steps=schedule.steps,
        optim=_optim(plan, schedule),
        accumulate=grad_accum,
        seed=seed,
        validate=validate and partial(in_epochs, validate=validate, epoch=schedule.epoch),
        best_key=None if validate is None else "psnr",
        eval_interval=eval_interval * every,
        save_interval=every,
        pictures=partial(pictures, shown=cache(partial(shown, feed.scenes, draw, where))),
        runs=runs,
        about=about(feed, schedule, carried) | left_out(task),
        **{"precision": "bf16", "patience": 1} | fields,
    )


def about(feed: Feed, schedule: Schedule, carried: Carried | None) -> dict[str, Any]:
    """What the report says of data, schedule and where the weights came from."""
    told = feed.about | {"samples an epoch": feed.samples, "schedule in steps": asdict(schedule)}
    return told | ({} if carried is None else {"begun from": str(carried)})


def left_out(task: ThesisTask) -> dict[str, str]:
    """What the report says of a term whose weight it lists although it does not count."""
    unheard = task.vgg is None and task.weights.composite.vgg
    return {"perceptual term": "left out: no VGG-19 weights"} if unheard else {}


def _carried(
    net: nn.Module, start: str | Path | Sequence[Source], runs: Path, ranks: distributed.Ranks
) -> Carried:
    sources = [Source(find(start, runs))] if isinstance(start, str | Path) else start
    carried = carry(net, *sources)
    if ranks.rank == 0:
        print(carried, flush=True)
    return carried


def _wrap(compiled: bool) -> Callable[[Any], Any]:
    return partial(torch.compile, dynamic=False) if compiled else lambda f: f


def _optim(plan: Plan, schedule: Schedule) -> Optim:
    rates = {"lr": plan.lr, "min_lr": plan.min_lr, "warmup": schedule.warmup}
    return Optim(**rates, weight_decay=plan.weight_decay, clip=1.0)


def _planned(phase: Phase, plan: Plan | None) -> Plan:
    if phase not in PLANS:
        raise TweenError(f"phase should be 1, 2 or 3, but got {phase}")
    return plan or PLANS[phase]


def _changed(plan: Plan, *, epochs: int | None, lr: float | None, freeze: int | None) -> Plan:
    changes: dict[str, Any] = {"epochs": epochs, "freeze": freeze}
    if lr is not None:
        changes |= {"lr": lr, "min_lr": lr * plan.min_lr / plan.lr}
    return replace(plan, **{name: value for name, value in changes.items() if value is not None})


def in_epochs(modules: nn.ModuleDict, step: int, *, validate: Validate, epoch: int) -> dict[str, float]:
    """What `validate` says, and the epoch it says it of: the plan's tables count in them."""
    return {"epoch": round(step / epoch, 2)} | validate(modules, step)


def middle_psnr(
    modules: nn.ModuleDict, step: int, *, scenes: Sequence[Any], dataset: str = "triplets"
) -> dict[str, float]:
    """Mean PSNR in dB and SSIM of what users run, by the protocol of most papers on `dataset`."""
    where, training = next(modules.parameters()).device, modules.training
    table = middle_frames(HybridFiller(modules["net"]), scenes, choose(dataset), device=where)
    modules.train(training)
    return {"psnr": table.psnr, "ssim": table.ssim}
