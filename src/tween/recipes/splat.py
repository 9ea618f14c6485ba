"""How `splat` is trained: windows of N frames, N changing from batch to batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tween.core import TweenError
from tween.engine import distributed
from tween.engine.optim import Optim
from tween.engine.run import Run
from tween.evaluate import choose, middle_frames
from tween.models.splat.config import SplatConfig
from tween.models.splat.filler import SplatFiller
from tween.models.splat.net import SplatNet
from tween.models.splat.task import SplatTask, Weights
from tween.recipes.splat_feeds import Feed, Length
from tween.zoo.load import place, released


def splat(
    *,
    feed: Feed,
    config: SplatConfig | None = None,
    weights: Weights | None = None,
    name: str = "splat",
    device: str = "auto",
    steps: int | None = None,
    epochs: int = 20,
    batch_size: int = 8,
    crop: tuple[int, int] = (256, 256),
    lr: float = 2e-4,
    warmup_epochs: int = 5,
    flow_share: float = 0.3,
    start: str | None = None,
    val: Sequence[Any] = (),
    full: Callable[[nn.ModuleDict], dict[str, float]] | None = None,
    eval_full_every: int = 5,
    precision: str = "bf16",
    seed: int = 0,
    runs: Path = Path("runs"),
    **fields: Any,
) -> Run:
    """A run.

    Args:
        feed: of batches.
        steps: of the whole run; instead of `epochs`, whose shares warm-up and validation keep.
        warmup_epochs: of fixed weights of the losses, before they are learned.
        flow_share: share of the run in which the Gaussians' flow is supervised.
        start: released weights whose features and keys to begin from, such as `fast`; all else begins anew.
        val: triplets to validate on; the best weights are kept by their PSNR.
        full: the whole benchmark: modules -> values; run every `eval_full_every` epochs.
        fields: of the `Run`, such as minutes, ema, accumulate, sharded.

    Raises:
        TweenError: on what does not fit together, in one sentence.
    """
    _check(crop, epochs, eval_full_every)
    ranks, where = distributed.start(), place(device)
    each = ranks.world * fields.get("accumulate", 1)
    epoch = max(1, steps // epochs if steps else feed.samples // (max(1, batch_size) * each))
    length = Length(steps=epochs * epoch if steps is None else steps, each=each)
    weights = _timed(weights or Weights(), warmup_epochs * epoch, round(flow_share * length.steps))
    torch.manual_seed(seed)  # a run is a function of its arguments
    net = SplatNet(config)
    carried = {} if start is None else begun(net, start)
    task = SplatTask(net, weights)
    task.modules.to(where)
    watched = bool(val) or full is not None
    return Run(
        name=name,
        task=task,
        batch=feed.draw(length, batch_size, crop, seed, where),
        batch_size=batch_size,
        steps=length.steps,
        optim=Optim(lr=lr, min_lr=lr / 100, warmup=min(1000, max(1, length.steps // 20)), weight_decay=1e-4),
        precision=precision,
        seed=seed,
        validate=partial(_validate, val=val, full=full, every=eval_full_every * epoch) if watched else None,
        best_key="psnr" if val else None,
        eval_interval=epoch,
        log_interval=min(50, epoch),
        save_interval=epoch,
        runs=runs,
        about=feed.about | {"steps an epoch": epoch} | carried,
        **fields,
    )


def _check(crop: tuple[int, int], epochs: int, eval_full_every: int) -> None:
    if any(side % SplatNet.multiple for side in crop) or min(crop) < 64:
        raise TweenError(f"crop should be multiples of 32 from 64 on, but got {tuple(crop)}")
    if eval_full_every < 1 or epochs < 1:
        raise TweenError(
            f"epochs and --eval-full-every should be 1 or more, but got {epochs} and {eval_full_every}"
        )


def _timed(weights: Weights, warmup: int, flow_until: int) -> Weights:
    """With the steps of this run; weights that are never learned stay so."""
    warmup = None if weights.warmup is None else warmup
    return replace(weights, warmup=warmup, flow_until=max(1, flow_until))


def _validate(
    modules: nn.ModuleDict,
    step: int,
    *,
    val: Sequence[Any],
    full: Callable[[nn.ModuleDict], dict[str, float]] | None,
    every: int,
) -> dict[str, float]:
    """PSNR of the middle frames by what users run; every `every` steps the whole benchmark too."""
    training, where = modules.training, next(modules.parameters()).device
    values: dict[str, float] = {}
    if val:
        table = middle_frames(SplatFiller(modules["net"]), val, choose("triplets"), device=where)
        values |= {"psnr": table.psnr, "ssim": table.ssim}
    if full is not None and step % every == 0:
        values |= full(modules)
    modules.train(training)
    return values


@torch.no_grad()
def begun(net: SplatNet, name: str) -> dict[str, str]:
    """Copy into `net` what features and matching keys the released network `name` has of the same shape.

    Raises:
        TweenError: if that is nothing.
    """
    own, taken = net.state_dict(), 0
    for key, value in released(name).items():
        for there in (key, f"encoder.{key}", f"pairs.{key}"):
            if there in own and own[there].shape == value.shape:
                own[there].copy_(value)
                taken += 1
    if not taken:
        raise TweenError(
            f"{name} holds nothing that fits this network; begin from fast, or leave out --start"
        )
    return {"begun from": f"{taken} tensors of {name}"}
