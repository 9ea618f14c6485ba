"""One real step of a run, thrown away: does everything fit together, and into memory?"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.engine.distributed import Ranks
from tween.engine.loop import begin, take_step
from tween.engine.report import peak_memory
from tween.engine.run import Run

SPARE = 0.92
"""Share of the memory that a batch may fill: an allocator leaves gaps."""


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What one step was like.

    Attributes:
        values: loss terms, norm of the gradient, 1 for `skipped` if it was not finite.
        gradients: norm by part of the network, exactly 0 where it is frozen.
        seconds: of a second step; the first one also compiles and tunes.
        peak: bytes.
        memory: bytes there are.
        largest: batch that fits into them, None where memory cannot be measured.
        tried: whether a step of that size was taken; else it is estimated from two sizes.
    """

    values: dict[str, float]
    gradients: dict[str, float]
    seconds: float
    peak: int
    memory: int
    largest: int | None
    tried: bool


def dry_run(run: Run) -> DryRun:
    """Take steps of `run` from its beginning. Nothing is written; the weights of `run.task` are no longer good.

    Raises:
        TweenError: if not even one sample fits into memory.
    """
    device = next(run.task.modules.parameters()).device
    state = begin(run, False, Ranks())
    first = fits(run, state, run.batch_size)
    if first is None:
        raise TweenError(_too_large(run, state))
    values, _, peak = first
    norms = gradients(run.task.modules)
    _, seconds, _ = fits(run, state, run.batch_size)
    memory = total_memory(device)
    largest, tried = _largest(run, state, peak, memory)
    return DryRun(
        values=values,
        gradients=norms,
        seconds=seconds,
        peak=peak,
        memory=memory,
        largest=largest,
        tried=tried,
    )


def fits(run: Run, state: Any, size: int) -> tuple[dict[str, float], float, int] | None:
    """Values, seconds and peak bytes of a step with batches of `size`; None if the device has not the memory."""
    device = next(run.task.modules.parameters()).device
    sized = replace(run, batch=lambda index: resized(run.batch(index), size), batch_size=size)
    reset_peak(device)
    start = time.monotonic()
    try:
        values = {name: float(value) for name, value in take_step(sized, state, Ranks()).items()}
    except torch.OutOfMemoryError:
        values = None
    if values is None:  # out of the except block, which holds on to every tensor of the step
        for optimizer in state.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        return None
    return values, time.monotonic() - start, peak_memory()


def resized(batch: Any, size: int) -> Any:
    """`batch` with `size` samples: its first ones, or all of them over and over."""
    if isinstance(batch, Tensor):
        return batch[torch.arange(size, device=batch.device) % len(batch)] if batch.ndim else batch
    if dataclasses.is_dataclass(batch):
        fields = {f.name: resized(getattr(batch, f.name), size) for f in dataclasses.fields(batch)}
        return replace(batch, **fields)
    if isinstance(batch, dict):
        return {name: resized(value, size) for name, value in batch.items()}
    return type(batch)(resized(value, size) for value in batch) if isinstance(batch, (list, tuple)) else batch


def gradients(modules: nn.ModuleDict) -> dict[str, float]:
    """Norm of the gradient that the last step left, by part of each module; 0 for a part that got none."""
    parts = {name: part for module in modules.values() for name, part in module.named_children()}
    norms = {}
    for name, part in parts.items():
        found = [p.grad.float() for p in part.parameters() if p.grad is not None]
        if any(True for _ in part.parameters()):
            norms[name] = float(torch.nn.utils.get_total_norm(found)) if found else 0.0
    return norms


def _largest(run: Run, state: Any, peak: int, memory: int) -> tuple[int | None, bool]:
    """The batch that fills `memory`, from the peaks of two sizes; on a GPU it is tried, and lessened until it fits."""
    size = run.batch_size
    twice = fits(run, state, 2 * size)
    if twice is None:  # somewhere in between
        return _tried(run, state, int(1.9 * size)), True
    each = (twice[2] - peak) / size
    if not memory or each <= 0:
        return None, False
    room = max(size, int(size + (SPARE * memory - peak) / each))
    if not next(run.task.modules.parameters()).is_cuda:
        return room, False
    return _tried(run, state, room), True


def _tried(run: Run, state: Any, size: int) -> int:
    while size > run.batch_size and fits(run, state, size) is None:
        size = max(run.batch_size, int(0.9 * size))
    return size


def _too_large(run: Run, state: Any) -> str:
    size = run.batch_size
    while size > 1:
        size //= 2
        if fits(run, state, size) is not None:
            more = run.accumulate * run.batch_size // size
            return (
                f"a batch of {run.batch_size} should fit into memory, but does not, while {size} does; "
                f"use --batch-size {size} --grad-accum {more} for the same step"
            )
    return (
        "a batch of one sample should fit into memory, but does not; take smaller crops or a smaller network"
    )


def reset_peak(device: torch.device) -> None:
    """Forget the greatest use of memory so far, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (resets := Path("/proc/self/clear_refs")).exists():
        resets.write_text("5")


def total_memory(device: torch.device) -> int:
    """Bytes that this process could use; 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    table = Path("/proc/meminfo")
    lines = table.read_text().splitlines() if table.exists() else []
    available = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    return available[0] + peak_memory() if available else 0
