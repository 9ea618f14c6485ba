"""Data parallel training under torchrun: every process has the whole model and its own batches.

Gradients are averaged by hand after the backward pass rather than by DistributedDataParallel, which binds its
hooks to what needs a gradient when it is built and so never synchronises what a task unfreezes later. All
processes must use the same parameters in the same step.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor


class Ranks(NamedTuple):
    """This process's number and how many there are."""

    rank: int = 0
    world: int = 1


def start() -> Ranks:
    """Join the processes torchrun started; (0, 1) without it. Call before building a model on the GPU."""
    if "WORLD_SIZE" not in os.environ:
        return Ranks()
    if not dist.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if cuda else "gloo")
    return Ranks(dist.get_rank(), dist.get_world_size())


def average(values: list[Tensor], ranks: Ranks) -> None:
    """Replace each tensor by its mean over all processes, in one message for each dtype."""
    if ranks.world == 1:
        return
    for dtype in dict.fromkeys(value.dtype for value in values):
        same = [value for value in values if value.dtype == dtype]
        flat = torch.cat([value.reshape(-1) for value in same])
        dist.all_reduce(flat)
        parts = (flat / ranks.world).split([value.numel() for value in same])
        torch._foreach_copy_(same, [part.view_as(value) for part, value in zip(parts, same, strict=True)])


def spread(values: list[Tensor], ranks: Ranks) -> None:
    """Overwrite each tensor with the first process's."""
    for value in values if ranks.world > 1 else ():
        sent = value.contiguous()
        dist.broadcast(sent, 0)
        value.copy_(sent)


def any_of(flag: bool, device: torch.device, ranks: Ranks) -> bool:
    """Whether any process raised its flag. Waits for the device when there are several."""
    if ranks.world == 1:
        return flag
    raised = torch.tensor(float(flag), device=device)
    dist.all_reduce(raised)
    return bool(raised > 0)
