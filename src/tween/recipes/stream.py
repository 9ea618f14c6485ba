"""How the network of a world is trained: latents of a world's own frames, encoded once and kept on the device."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.data.episodes import Episodes, Window, loaded, windows
from tween.engine import distributed
from tween.engine.optim import Optim
from tween.engine.run import Run
from tween.models.stream.config import DOOM, StreamConfig
from tween.models.stream.distill import DistillTask, Matching
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling
from tween.models.stream.task import Forcing, ForcingTask
from tween.models.stream.timeline import frames_of
from tween.nn.vae import WanVAE
from tween.recipes.vae import pixels
from tween.recipes.world_judge import held, validation
from tween.zoo.load import place

Batch = Callable[[int], Window]
Validate = Callable[[nn.ModuleDict, int], dict[str, float]]


def stream(
    *,
    batch: Batch,
    config: StreamConfig = DOOM,
    forcing: Forcing | None = None,
    validate: Validate | None = None,
    best_key: str | None = None,
    name: str = "stream",
    device: str = "auto",
    steps: int = 20_000,
    batch_size: int = 64,
    lr: float = 1e-3,
    precision: str = "bf16",
    ema: float = 0.999,
    compiled: bool = False,
    minutes: float | None = None,
    eval_interval: int = 1000,
    seed: int = 0,
    runs: Path = Path("runs"),
) -> Run:
    """A run of the network, by teacher or diffusion forcing.

    Args:
        batch: index -> a `Window` whose frames are latents `b n c h w` on the device; see `encoded` and `draws`.
        forcing: teacher forcing at shift 2 unless told otherwise.
        validate, best_key: as a `Run` has them; see `tween.recipes.world_judge`.
        batch_size: of `batch`; only the logged throughput depends on it.
        compiled: block by block.
    """
    distributed.start()
    torch.manual_seed(seed)  # a run is a function of its arguments
    net = StreamNet(config).to(place(device))
    if compiled:
        # what this machine cannot compile runs as it is, with a warning
        torch._dynamo.config.suppress_errors = True
        for block in net.blocks:
            block.compile(dynamic=False)
    forcing = forcing or Forcing(shift=2.0)
    return Run(
        name=name,
        task=ForcingTask(net, Tensor.float, forcing),
        batch=batch,
        batch_size=batch_size,
        steps=steps,
        optim=Optim(
            lr=lr, min_lr=lr / 50, warmup=min(500, steps // 10), betas=(0.9, 0.99), weight_decay=1e-2
        ),
        precision=precision,
        ema=ema,
        seed=seed,
        validate=validate,
        best_key=best_key,
        eval_interval=eval_interval,
        minutes=minutes,
        runs=runs,
        about={"forcing": str(forcing)},
    )


def distil(
    *,
    batch: Batch,
    teacher: StreamNet,
    matching: Matching | None = None,
    validate: Validate | None = None,
    best_key: str | None = None,
    name: str = "student",
    device: str = "auto",
    steps: int = 1000,
    batch_size: int = 32,
    lr: float = 5e-5,
    precision: str = "bf16",
    ema: float = 0.99,
    minutes: float | None = None,
    eval_interval: int = 100,
    seed: int = 0,
    runs: Path = Path("runs"),
) -> Run:
    """A run of a student of few steps and its critic, two turns; see `DistillTask`. It can get worse again after it
    got better, so `validate` should keep the best.

    Args:
        teacher: pretrained; student and critic begin as it is.
        lr: peak of the student's.
    """
    distributed.start()
    torch.manual_seed(seed)
    matching = matching or Matching()
    task = DistillTask(teacher.to(place(device)), Tensor.float, matching, lr=lr)
    task.modules.to(place(device))
    return Run(
        name=name,
        task=task,
        batch=batch,
        batch_size=batch_size,
        steps=steps,
        optim=Optim(lr=lr, min_lr=lr / 10, warmup=min(20, steps // 10), betas=(0.0, 0.999), weight_decay=0.0),
        precision=precision,
        ema=ema,
        seed=seed,
        validate=validate,
        best_key=best_key,
        eval_interval=eval_interval,
        minutes=minutes,
        runs=runs,
        log_interval=10,
        about={"matching": str(matching)},
    )


def fed(
    vae: WanVAE,
    data: Episodes,
    val: Episodes | None,
    *,
    latents: int,
    stride: int,
    batch_size: int,
    sampling: Sampling,
    device: str = "auto",
    seed: int = 0,
) -> dict[str, Any]:
    """Batches of shards, and judges from other shards, as `stream` and `distil` take them.

    Args:
        vae: frozen, as a session runs it.
        val: held-out episodes, of which the best weights are those that stay nearest to real pictures; None: the last.
        latents, stride: see `encoded`; the length is that of so many latents.
    """
    clips = encoded(vae, data, length=frames_of(latents), stride=stride, device=device)
    batches = {"batch": draws(clips, batch_size=batch_size, seed=seed)}
    if val is None:
        return batches
    judges = held(replace(val, frames=loaded(val)), rollouts=48, blocks=48)
    return batches | {"validate": validation(vae, judges, sampling), "best_key": "kept"}


@torch.no_grad()
def encoded(
    vae: WanVAE, episodes: Episodes, *, length: int, stride: int, device: str = "auto", batch: int = 256
) -> Window:
    """Every window of `length` frames that begins at a multiple of `stride`, encoded as a session would: from its own
    first frame on. Latents `m n c h w` in fp16 on the device, keys `m f k`, mouse `m f 2`.

    Args:
        vae: frozen, on the device; what it runs in is its own precision.
        length: 1 + 4m, of whole blocks.

    Raises:
        TweenError: if no window is so long, or a latent is not finite.
    """
    frames, where = pixels(episodes, device), place(device)
    places = windows(episodes, length, stride=stride)
    span = np.arange(length)
    parts = []
    for some in np.array_split(places, -(-len(places) // batch)):
        at = torch.from_numpy(some).to(where)
        clip = frames[at[:, :1], at[:, 1:] + torch.arange(length, device=where)]
        parts.append(vae.encode(clip.movedim(-1, 2).to(vae.mean.dtype) / 255)[0].half())
    latents = torch.cat(parts)
    if not latents.isfinite().all():
        raise TweenError(
            "latents should be finite, but some are not; train the autoencoder further, or in fp32"
        )
    n, f = places[:, :1], places[:, 1:] + span
    keys, mouse = (torch.from_numpy(x[n, f]).to(where) for x in (episodes.keys, episodes.mouse))
    return Window(latents, keys, mouse)


def beginnings(clips: Window, latents: int) -> Window:
    """The first `latents` of each clip, and their actions; all, where there are no more."""
    f = frames_of(latents)
    return Window(clips.frames[:, :latents], clips.keys[:, :f], clips.mouse[:, :f])


def draws(clips: Window, *, batch_size: int, seed: int = 0) -> Batch:
    """index -> `batch_size` of `clips`, drawn anew each time."""

    def batch(index: int) -> Window:
        g = torch.Generator().manual_seed(random.Random(f"{seed}/{index}").getrandbits(63))
        chosen = torch.randint(len(clips.keys), (batch_size,), generator=g)
        chosen = chosen.to(clips.keys.device, non_blocking=True)
        return Window(*(x[chosen] for x in clips))

    return batch
