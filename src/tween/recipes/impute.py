"""How `impute` is trained: an encoder whose features samples drift in, then a refiner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.engine import checkpoint, distributed
from tween.engine.optim import Optim
from tween.engine.run import Run
from tween.models.impute.config import EncoderConfig, PatchConfig, VideoConfig
from tween.models.impute.encoder import Encoder, EncoderTask
from tween.models.impute.mae import LatentMae, MaeTask
from tween.models.impute.net import PatchRefiner, VideoRefiner
from tween.models.impute.patches import pictures
from tween.models.impute.task import Objective, RefinerTask
from tween.recipes.impute_feeds import Batch
from tween.zoo.load import place
from tween.zoo.worlds import revived

Validate = Callable[[nn.ModuleDict, int], dict[str, float]]


def accumulated(effective: int, batch_size: int, world: int) -> int:
    """Batches to add up in one step, so that it sees `effective` samples over all processes.

    Raises:
        TweenError: if they do not go into it.
    """
    each = batch_size * world
    if effective % each:
        raise TweenError(
            f"an effective batch of {effective} should be whole batches of {batch_size} on {world} processes, but is "
            f"not; choose a multiple of {each}"
        )
    return effective // each


def classifier(
    batch: Callable[[int], tuple[Tensor, Tensor]],
    config: EncoderConfig,
    *,
    name: str = "encoder",
    device: str = "auto",
    steps: int = 6000,
    lr: float = 2e-3,
    muon: bool = False,
    seed: int = 0,
    **fields: Any,
) -> Run:
    """A run of the encoder as a classifier. `fields` are those of the `Run`, `batch_size` among them."""
    distributed.start()
    torch.manual_seed(seed)
    task = EncoderTask(Encoder(config).to(place(device)))
    return _run(name, task, batch, steps, lr, 5e-2, muon, seed, fields)


def latent_mae(
    batch: Callable[[int], Tensor],
    config: EncoderConfig,
    *,
    name: str = "latent-mae",
    device: str = "auto",
    steps: int = 20_000,
    lr: float = 4e-3,
    muon: bool = False,
    seed: int = 0,
    **fields: Any,
) -> Run:
    """A run of the encoder by masked latents, without classes."""
    distributed.start()
    torch.manual_seed(seed)
    task = MaeTask(LatentMae(config).to(place(device)))
    return _run(name, task, batch, steps, lr, 1e-2, muon, seed, {"ema": 0.9995} | fields)


def refiner(
    batch: Batch,
    config: PatchConfig | VideoConfig,
    encoder: Encoder | None,
    objective: Objective,
    *,
    patch: int = 4,
    view: Callable[[Tensor], Tensor] = lambda x: x,
    name: str = "impute",
    device: str = "auto",
    steps: int = 20_000,
    lr: float = 4e-4,
    muon: bool = False,
    seed: int = 0,
    **fields: Any,
) -> Run:
    """A run of the refiner. `fields` are those of the `Run`, `batch_size` (c * g) among them.

    Args:
        encoder: on the device; frozen by this. None without drifting, or where plain samples drift alone.
        patch: side of a patch, for pictures.
        view: samples -> what the encoder sees.

    Raises:
        TweenError: if there is nothing to drift in.
    """
    distributed.start()
    if objective.drift and encoder is None and not objective.taps.plain:
        raise TweenError(
            "drifting needs an encoder; train one, drift in plain samples, or use a paired objective"
        )
    torch.manual_seed(seed)
    net = (PatchRefiner if isinstance(config, PatchConfig) else VideoRefiner)(config).to(place(device))
    still = isinstance(config, PatchConfig)
    sample = (lambda tokens: pictures(tokens, patch, config.grid)) if still else (lambda clip: clip)
    task = RefinerTask(net, encoder, objective, sample=sample, view=view)
    return _run(name, task, batch, steps, lr, 1e-2, muon, seed, {"ema": 0.999} | fields)


def _run(
    name: str,
    task: Any,
    batch: Callable[[int], Any],
    steps: int,
    lr: float,
    decay: float,
    muon: bool,
    seed: int,
    fields: dict[str, Any],
) -> Run:
    optim = Optim(
        lr=lr,
        min_lr=lr / 50,
        warmup=min(500, max(1, steps // 10)),
        betas=(0.9, 0.95),
        weight_decay=decay,
        clip=2.0,
        muon=muon,
    )
    return Run(name=name, task=task, batch=batch, steps=steps, optim=optim, seed=seed, **fields)


def read_encoder(path: Path, device: str = "auto") -> Encoder:
    """The encoder of a checkpoint of `classifier` or `latent_mae`, frozen, in full precision.

    Raises:
        TweenError: if `path` holds none.
    """
    return _read(path, "encoder", Encoder, EncoderConfig, device)


def read_refiner(path: Path, device: str = "auto") -> PatchRefiner | VideoRefiner:
    """The refiner of a checkpoint, frozen, in full precision."""
    about = _configs(path)
    still = "grid" in about.get("refiner", {})
    kinds = (PatchRefiner, PatchConfig) if still else (VideoRefiner, VideoConfig)
    return _read(path, "refiner", *kinds, device)


def _configs(path: Path) -> dict[str, Any]:
    return checkpoint.header(path)["config"]["configs"]


def _read(path: Path, part: str, net: type, config: type, device: str) -> Any:
    found = _configs(path)
    if part not in found:
        raise TweenError(f"{path} should be a checkpoint of {part!r}, but is one of {', '.join(found)}")
    made = net(revived(config, found[part]))
    made.load_state_dict(checkpoint.part(checkpoint.weights(path), f"{part}."))
    return made.to(place(device)).eval().requires_grad_(False)
