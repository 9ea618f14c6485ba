"""Moving average of the weights (Polyak): a dict of tensors named as in `state_dict`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tween.engine.distributed import local, put


def tensors(modules: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, sharing memory; a compiled module has its own name."""
    return {name.replace("_orig_mod.", ""): value for name, value in modules.state_dict().items()}


def start(modules: nn.Module) -> dict[str, Tensor]:
    """An average that has seen only the present weights."""
    return {name: value.clone() for name, value in tensors(modules).items()}


@torch.no_grad()
def update(ema: dict[str, Tensor], modules: nn.Module, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * weights; whole-number buffers are copied."""
    now = {name: local(value) for name, value in tensors(modules).items()}
    kept = {name: local(value) for name, value in ema.items()}
    smooth = [name for name, value in kept.items() if value.is_floating_point()]
    torch._foreach_lerp_([kept[name] for name in smooth], [now[name] for name in smooth], 1 - decay)
    for name in kept.keys() - set(smooth):
        kept[name].copy_(now[name])


@torch.no_grad()
def write(values: dict[str, Tensor], modules: nn.Module) -> None:
    """Copy `values` into the memory of `modules`, so that compiled code and optimisers keep seeing them."""
    for name, value in tensors(modules).items():
        put(value, values[name])


@contextmanager
def in_place(ema: dict[str, Tensor], modules: nn.Module) -> Iterator[None]:
    """The averaged weights (if any) stand in `modules`, in eval mode, while the block runs."""
    mode = {module: module.training for module in modules.modules()}
    kept = start(modules)
    modules.eval()
    if ema:
        write(ema, modules)
    try:
        yield
    finally:
        write(kept, modules)
        for module, training in mode.items():
            module.training = training
