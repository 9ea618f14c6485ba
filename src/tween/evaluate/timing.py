"""How long a call takes, and how much of the GPU's memory."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

WARMUP = 10  # runs on a GPU before it counts


@dataclass(frozen=True)
class Timing:
    """Seconds a run: median, interquartile range and least of `n` runs; and the processor's, summed over its cores
    (median). The last two hardly change with what else the machine is doing."""

    median: float
    iqr: float
    least: float
    n: int
    cpu: float | None = None


def summary(seconds: Sequence[float], cpu: Sequence[float] = ()) -> Timing:
    """Of some measured seconds."""
    low, middle, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else (seconds[0],) * 3
    return Timing(middle, high - low, min(seconds), len(seconds), statistics.median(cpu) if cpu else None)


def interleaved(cases: dict[str, Callable[[], Any]], *, runs: int, warmup: int = 1) -> dict[str, Timing]:
    """Each case's timing. The cases take turns, so that a busy moment of the machine strikes all alike."""
    wall: dict[str, list[float]] = {name: [] for name in cases}
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    for i in range(warmup + runs):
        for name, run in cases.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            run()
            if i >= warmup:
                wall[name].append(time.perf_counter() - start)
                cpu[name].append(time.process_time() - start_cpu)
    return {name: summary(wall[name], cpu[name]) for name in cases}


def measure(run: Callable[[], object], runs: int, device: str) -> tuple[Timing, float]:
    """Timing by CUDA events (wall clock without a GPU) after ten runs to warm up, and the most MiB that PyTorch held of
    the device meanwhile: what its allocator keeps counts, and so do CUDA graphs."""
    if not device.startswith("cuda"):
        return interleaved({"": run}, runs=runs)[""], 0.0
    gc.collect()  # what ran before gives back its graphs and buffers
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    for _ in range(WARMUP):
        run()
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(runs)]
    for start, end in events:
        start.record()
        run()
        end.record()
    torch.cuda.synchronize(device)
    seconds = [start.elapsed_time(end) / 1e3 for start, end in events]
    return summary(seconds), torch.cuda.max_memory_reserved(device) / 2**20
