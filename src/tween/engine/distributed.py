"""Several processes train one model, as torchrun starts them: replicas (DDP), or shards of it (FSDP2).

Both hook into the forward pass of a module, while a task's loss calls whatever parts of its networks it likes, often
compiled. So the loss itself is made the forward pass of one module that holds the networks: `Loss`.
docs/decisions/005 says why, and what it costs.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tween.core import Task, TweenError

PATIENCE = timedelta(hours=2)  # the others wait for the first process while it validates


class Ranks(NamedTuple):
    """This process's number and how many there are."""

    rank: int = 0
    world: int = 1


def start() -> Ranks:
    """Join the processes torchrun started, each on a GPU of its own; (0, 1) without it. Call before a model is placed.

    Raises:
        TweenError: if there are fewer GPUs than processes.
    """
    if "WORLD_SIZE" not in os.environ:
        return Ranks()
    if not dist.is_initialized():
        cuda, local = torch.cuda.is_available(), int(os.environ["LOCAL_RANK"])
        if cuda and local >= torch.cuda.device_count():
            raise TweenError(
                f"torchrun started more processes than there are GPUs ({torch.cuda.device_count()}); "
                f"lower --nproc_per_node"
            )
        if cuda:
            torch.cuda.set_device(local)
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    return Ranks(dist.get_rank(), dist.get_world_size())


def stop() -> None:
    """Leave the other processes, when all work is done."""
    if dist.is_initialized():
        dist.barrier()  # without it 7 of 30 runs of two processes on a CPU aborted on their way out, with it none of 28
        dist.destroy_process_group()


def gathered(value: Any, ranks: Ranks) -> list[Any]:
    """The value of every process, in their order; any that can be pickled."""
    if ranks.world == 1:
        return [value]
    values: list[Any] = [None] * ranks.world
    dist.all_gather_object(values, value)
    return values


@contextmanager
def first() -> Iterator[None]:
    """The block runs in the first process of a machine before it runs in the others, which find its files done."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    start()
    ahead = os.environ["LOCAL_RANK"] == "0"
    if not ahead:
        _meet()
    yield
    if ahead:
        _meet()


def _meet() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dist.all_reduce(torch.zeros((), device=device))


class Loss(nn.Module):
    """A task's loss as the forward pass of a module that holds all of its networks.

    Args:
        sharded: each process keeps only its part of every parameter, gradient, moment and average (FSDP2).
            Parameters are whole from the forward to the end of the backward pass. No effect on one process.
    """

    def __init__(self, task: Task, ranks: Ranks, *, sharded: bool = False) -> None:
        super().__init__()
        self.networks, self._terms, self.ranks = task.modules, task.loss, ranks
        self.sharded = sharded and ranks.world > 1
        self._replicas: dict[str, tuple[frozenset[str], nn.Module]] = {}
        if ranks.world > 1:
            own_device(task.modules)
            spread(list(task.modules.state_dict().values()), ranks)
        if self.sharded:
            _shard(self)

    def forward(self, turn: str, batch: Any, step: int) -> dict[str, Tensor]:
        """The task's terms."""
        return dict(self._terms(turn, batch, step))

    def reducing(self, turn: str) -> nn.Module:
        """What to call in `turn` so that what needs a gradient now is reduced.

        DDP binds to the parameters that need a gradient when it is built, so it is built anew when a task unfreezes.
        """
        if self.ranks.world == 1 or self.sharded:
            return self
        free = frozenset(name for name, p in self.named_parameters() if p.requires_grad)
        known, replica = self._replicas.get(turn, (None, self))
        if known != free:
            self._replicas.pop(turn, None)
            replica = _replica(self)
            self._replicas[turn] = free, replica
        return replica


def _replica(loss: Loss) -> nn.Module:
    # A loss that is compiled stays one graph: split at DDP's buckets it fuses less and may not compile at all.
    torch._dynamo.config.optimize_ddp = False
    with (
        warnings.catch_warnings()
    ):  # torch 2.13 has another name for broadcast_buffers, which 2.9 does not know
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(  # a task may use a parameter in some steps only: unused ones are looked for
            loss, find_unused_parameters=True, gradient_as_bucket_view=True, broadcast_buffers=False
        )


def _shard(loss: Loss) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    marks = {name: vars(p) for name, p in loss.named_parameters()}
    for p in loss.parameters():
        p.data = p.data.contiguous()  # all that FSDP2 takes
    device = next(loss.parameters()).device
    fully_shard(loss, mesh=init_device_mesh(device.type, (loss.ranks.world,)))
    for name, p in loss.named_parameters():
        vars(p).update(marks[name])


def own_device(modules: nn.Module) -> None:
    """Refuse a model that is on another process's GPU."""
    device = next(modules.parameters()).device
    if device.type == "cuda" and device.index != torch.cuda.current_device():
        raise TweenError(
            f"each process of torchrun has a GPU of its own, here cuda:{torch.cuda.current_device()}, but the model "
            f"is on {device}; use --device cuda"
        )


@contextmanager
def accumulating(module: nn.Module, last: bool) -> Iterator[None]:
    """In the block, one of a step's batches: gradients only add up here until the last of them."""
    if isinstance(module, DistributedDataParallel):
        with nullcontext() if last else module.no_sync():
            yield
        return
    if getattr(module, "sharded", False):
        module.set_requires_gradient_sync(last)
        module.set_reshard_after_backward(last)
    yield


@contextmanager
def unsharded(loss: Loss) -> Iterator[None]:
    """Parameters are whole, in every process, while the block runs."""
    if loss.sharded:
        loss.unshard()
    try:
        yield
    finally:
        if loss.sharded:
            loss.reshard()


def local(value: Tensor) -> Tensor:
    """This process's part of a sharded tensor, sharing its memory; any other tensor itself."""
    return value.to_local() if hasattr(value, "to_local") else value


def whole(value: Tensor) -> Tensor:
    """A sharded tensor put together, which all processes must ask for at once; any other tensor itself."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


@torch.no_grad()
def put(target: Tensor, value: Tensor) -> Tensor:
    """Overwrite `target`, sharded or not, by `value`, whole or sharded as it is; returns `target`."""
    if hasattr(target, "to_local") and not hasattr(value, "to_local"):
        from torch.distributed.tensor import distribute_tensor

        mesh, where = target.device_mesh, target.placements
        value = distribute_tensor(value.to(target.device), mesh, where, src_data_rank=None)
    local(target).copy_(local(value))
    return target


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Norm of all gradients together, over all shards."""
    norm = torch.nn.utils.get_total_norm([local(g) for g in gradients])
    if gradients and hasattr(gradients[0], "to_local"):
        square = norm.square()
        dist.all_reduce(square)
        norm = square.sqrt()
    return norm


def average(values: Sequence[Tensor], ranks: Ranks) -> None:
    """Replace each scalar by its mean over all processes, in one message."""
    if ranks.world == 1 or not values:
        return
    flat = torch.stack([value.float() for value in values])
    dist.all_reduce(flat)
    for value, mean in zip(values, (flat / ranks.world).unbind(), strict=True):
        value.copy_(mean)


def spread(values: Sequence[Tensor], ranks: Ranks) -> None:
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
