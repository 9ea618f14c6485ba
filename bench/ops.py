"""Time of the ops on this device: `python -m bench.ops`. Their tests run first; a red gate times nothing.

`--tune` instead tries settings of the SSD's kernels for a minute on a GPU (bench/ops_tune.py), without the tests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads stall small operations
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench import common, ops_tune
from tween.evaluate.timing import interleaved
from tween.ops.attention import window_attention
from tween.ops.scan2d import flip_scan2d, scan2d
from tween.ops.selective_scan import selective_scan
from tween.ops.ssd import TRITON, ssd

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float32
# batch, length, width: a training step's crops at 1/8 (two 128 x 128 frames), a 720p pair at 1/16, a 1080p pair at 1/8
SHAPES = (
    [(128, 512, 128), (1, 7200, 128), (1, 64800, 128)]
    if DEVICE == "cuda"
    else [(4, 512, 128), (1, 7200, 128)]
)

Case = tuple[str, Callable[..., Tensor], list[Tensor]]


def random(*shape: int, dtype: torch.dtype = DTYPE) -> Tensor:
    return torch.randn(*shape, device=DEVICE).to(dtype).requires_grad_()


def positive(*shape: int) -> Tensor:
    return torch.rand(*shape, device=DEVICE).requires_grad_()


def scans(b: int, length: int, d: int) -> Iterator[Case]:
    """Both scans at one width: SSD with heads of 64 and 64 states, Mamba1 with 16 states."""
    h = d // 64
    two = [random(b, length, h, 64), positive(b, length, h), random(h, dtype=torch.float32)]
    two += [random(b, length, 1, 64), random(b, length, 1, 64)]
    with torch.no_grad():
        two[2].copy_(-two[2].exp())
    yield "ssd torch", lambda *a: ssd(*a, impl="torch"), two
    if DEVICE == "cuda" and length <= 512:  # the loop over chunks is unrolled
        yield "ssd torch compiled", torch.compile(lambda *a: ssd(*a, impl="torch")), two
    if DEVICE == "cuda" and TRITON:
        yield "ssd triton", lambda *a: ssd(*a, impl="triton"), two
    one = [random(b, length, d), positive(b, length, d), random(d, 16, dtype=torch.float32)]
    one += [random(b, length, 16), random(b, length, 16)]
    with torch.no_grad():
        one[2].copy_(-one[2].exp())
    if DEVICE == "cpu" or length <= 512:
        yield "selective_scan torch", lambda *a: selective_scan(*a, impl="torch"), one
    if DEVICE == "cuda" and TRITON:
        yield "selective_scan triton", selective_scan, one


def planes() -> Iterator[Case]:
    """What is left when the branch does nothing, and attention with and without a mask."""
    b = 32 if DEVICE == "cuda" else 1
    tokens = [random(b, 45, 80, 2, 64)]
    for name, scan in (("scan2d", scan2d), ("flip_scan2d", flip_scan2d)):
        yield f"{name} of an idle branch", lambda t, scan=scan: scan(t, lambda s, reverse: s), tokens
    for h, w, shift in ((48, 80, 0), (45, 80, 0), (48, 80, 4)):
        qkv = [random(b, h, w, 4, 16) for _ in range(3)]
        yield (
            f"window_attention {h}x{w} shift {shift}",
            lambda *a, s=shift: window_attention(*a, window=8, shift=s),
            qkv,
        )


def timed(function: Callable[..., Tensor], tensors: list[Tensor], backward: bool) -> Callable[[], None]:
    def run() -> None:
        if backward:
            torch.autograd.grad(function(*tensors).sum(), tensors)
        else:
            with torch.no_grad():
                function(*tensors)
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return run


def measure(shape: Any, cases: Iterator[Case], runs: int) -> list[dict[str, Any]]:
    """One row a case and direction; cases of one shape take turns."""
    named = {(n, back): timed(f, t, back) for n, f, t in cases for back in (False, True)}
    timings = interleaved(named, runs=runs, warmup=3)
    rows = [{"op": n, "shape": shape, "backward": back, "seconds": t} for (n, back), t in timings.items()]
    for row in rows:
        kind = "forward + backward" if row["backward"] else "forward"
        print(f"{row['op']:48} {shape!s:20} {kind:18} {row['seconds'].median * 1e3:9.3f} ms", flush=True)
    return rows


def gate() -> None:
    """The ops' own tests; on a GPU those marked for it."""
    chosen = ["-m", "gpu"] if DEVICE == "cuda" else []
    code = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/ops", "-q", "-x", *chosen], check=False
    ).returncode
    if code:
        sys.exit("the ops' tests failed, so nothing is timed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ops", description=__doc__.partition("\n")[0])
    parser.add_argument("--tune", action="store_true", help="try settings of the SSD's kernels on a GPU")
    if parser.parse_args().tune:
        if DEVICE != "cuda" or not TRITON:
            sys.exit("--tune needs a GPU and Triton; this machine has not both")
        return ops_tune.tune()
    gate()
    runs = 30 if DEVICE == "cuda" else 7
    rows = [row for shape in SHAPES for row in measure(shape, scans(*shape), runs)]
    rows += measure(None, planes(), runs)
    name = torch.cuda.get_device_name().replace(" ", "-").lower() if DEVICE == "cuda" else "cpu"
    print(common.save(f"ops_{name}", rows, dtype=str(DTYPE).removeprefix("torch.")))


if __name__ == "__main__":
    main()
