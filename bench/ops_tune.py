"""Settings of the SSD's kernels, each kept if forward and backward then take less time: `python -m bench.ops --tune`.

One setting after the other from those in `tween.ops.ssd.fused`, over a training step's three resolutions; every trial
compiles, so the trials end after a minute. `standing` times what is set, and asks nothing of `fused`: with another
commit's src on the path it times that commit.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tween.ops.ssd import fused, ssd

SIZES = [(8, 131_072, 1), (8, 32_768, 2), (8, 8_192, 4)]  # batch, tokens, heads of 64 with 64 states
LARGE = (16, 131_072, 1)
SECONDS = 55

Setting = tuple[str, str]  # a name in fused, and the key if that is a dict
TRIALS: list[tuple[Setting, tuple[int, ...]]] = [
    (("BACKWARD", "maxnreg"), (128, 255)),
    (("PROGRAMS", ""), (1024, 2048)),
    (("CARRY", "num_warps"), (2, 8)),
    (("CHUNK", ""), (32,)),
    (("FORWARD", "maxnreg"), (168,)),
    (("FORWARD", "num_warps"), (2, 8)),
    (("CARRY", "num_stages"), (1, 3)),
    (("FORWARD", "num_stages"), (1,)),
    (("BACKWARD", "num_warps"), (8, 2)),
    (("CARRY", "maxnreg"), (255,)),
    (("BACKWARD", "num_stages"), (2,)),
]


def case(batch: int, length: int, heads: int) -> tuple[list[Tensor], Tensor]:
    """x, dt, A, B, C and D with x, B and C columns of one wide tensor, and y's gradient; bf16."""
    wide = torch.randn(batch, length, heads * 64 + 128, device="cuda", dtype=torch.bfloat16)
    x, B, C = (t.unflatten(-1, (-1, 64)) for t in wide.split([heads * 64, 64, 64], -1))
    dt = 0.1 * torch.rand(batch, length, heads, device="cuda")
    A, D = -1 - torch.arange(heads, device="cuda").float(), torch.ones(heads, device="cuda")
    return [t.requires_grad_() for t in (x, dt, A, B, C, D)], torch.randn_like(x).contiguous()


def timed(tensors: list[Tensor], dy: Tensor, backward: bool = True) -> float:
    """Milliseconds on the GPU, the median of five times four runs: the GPU sleeps until Python has launched them."""
    events = [[torch.cuda.Event(enable_timing=True) for _ in "se"] for _ in range(5)]
    for _ in range(3):
        run(tensors, dy, backward)
    for start, end in events:
        torch.cuda._sleep(20_000_000)  # cycles, about 10 ms
        start.record()
        for _ in range(4):
            run(tensors, dy, backward)
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) / 4 for start, end in events)


def run(tensors: list[Tensor], dy: Tensor, backward: bool) -> None:
    if backward:
        torch.autograd.grad(ssd(*tensors), tensors, dy)
    else:
        with torch.no_grad():
            ssd(*tensors)


def standing() -> None:
    """Forward, and forward with backward, as set."""
    for size in (LARGE, *SIZES):
        forward, both = (timed(*case(*size), backward) for backward in (False, True))
        tokens = size[0] * size[1] * size[2]
        print(
            f"{size!s:16} forward {forward:7.3f} ms, with backward {both:7.3f}: "
            f"{1e6 * (both - forward) / tokens:.2f} ns a token and head for the backward",
            flush=True,
        )


def get(setting: Setting) -> Any:
    name, key = setting
    return getattr(fused, name)[key] if key else getattr(fused, name)


def put(setting: Setting, value: Any) -> None:
    name, key = setting
    if key:
        getattr(fused, name)[key] = value
    else:
        setattr(fused, name, value)


def attempt(score: Callable[[], list[float]], setting: Setting, value: int, least: float) -> float:
    """The least time, by `value` or by what was set before, which then is set again."""
    before, label = get(setting), " ".join((*setting, str(value)))
    put(setting, value)
    try:
        times = score()
    except _misfits() as error:
        print(f"{label:24} {type(error).__name__}", flush=True)
        times = [float("inf")]
    else:
        print(f"{label:24} {row(times)}{'  <' if sum(times) < least else ''}", flush=True)
    if sum(times) >= least:
        put(setting, before)
    return min(least, sum(times))


def tune() -> None:
    """Prints the trials and what is best; changes no file."""
    start = time.perf_counter()
    standing()
    cases = [case(*size) for size in SIZES]
    print("milliseconds of forward with backward at " + ", ".join(map(str, SIZES)) + ", and together")

    def score() -> list[float]:
        return [timed(*c) for c in cases]

    first = score()
    print(f"{'as set':24} {row(first)}", flush=True)
    least, left = sum(first), [(setting, value) for setting, values in TRIALS for value in values]
    while left and time.perf_counter() - start < SECONDS:
        least = attempt(score, *left.pop(0), least)
    print(f"best: {least:.3f} ms, {len(left)} trials left out for time")
    for name in ("FORWARD", "CARRY", "BACKWARD", "CHUNK", "PROGRAMS"):
        print(f"{name} = {getattr(fused, name)}")


def row(times: list[float]) -> str:
    return " ".join(f"{t:8.3f}" for t in (*times, sum(times)))


def _misfits() -> tuple[type[Exception], ...]:
    """What a setting that asks for too much raises; Triton is only there where there is a GPU."""
    from triton.runtime.errors import OutOfResources, PTXASError

    return OutOfResources, PTXASError
