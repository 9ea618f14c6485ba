"""Milliseconds a new frame takes on the GPU at 720p, 1080p and 4K, and the memory it needs: networks of the zoo as in a
video (the shared frame's features known), beside RIFE's layers.

    python -m bench.gpu_latency [--models fast] [--sizes 1280x720 ...] [--runs 50] [--device cuda]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch

from bench.common import save
from bench.rife import Rife
from tween.evaluate.steps import moving, padded, stepper
from tween.evaluate.timing import measure
from tween.zoo import fillers, load

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/gpu_latency.json."""
    arguments = parse(argv)
    rows = [row for size in arguments.sizes for row in at_size(size, arguments)]
    save("gpu_latency", rows, device=arguments.device)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models", nargs="*", default=[name for name, entry in fillers().items() if entry.file]
    )
    parser.add_argument("--sizes", nargs="*", default=["1280x720", "1920x1080", "3840x2160"])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--device", default="cuda")
    return parser.parse_args(argv)


def at_size(size: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Every case at one size, one after the other: only one network's memory is held at a time."""
    w, h = map(int, size.split("x"))
    clip = moving((h, w), count=4).to(arguments.device)
    rows = []
    for name, build in cases(arguments.models, arguments.device, clip).items():
        timing, peak = measure(build(), arguments.runs, arguments.device)
        rows.append(
            {"method": name, "size": size, "ms": 1e3 * timing.median, "iqr": 1e3 * timing.iqr, "mib": peak}
        )
        print(f"{size:>10} {name:20} {rows[-1]['ms']:8.2f} ms  {peak:7.0f} MiB", flush=True)
    return rows


def cases(
    models: list[str], device: str, clip: torch.Tensor
) -> dict[str, Callable[[], Callable[[], object]]]:
    """name -> what builds a call that makes one frame."""
    out = {}
    for precision, dtype in DTYPES.items():
        out[f"RIFE's layers {precision}"] = partial(rife, dtype, device, clip)
        for name in models:
            out[f"{name} {precision}"] = partial(zoo, name, precision, device, clip)
    return out


def rife(dtype: torch.dtype, device: str, clip: torch.Tensor) -> Callable[[], object]:
    """RIFE's layers with random weights."""
    net = Rife().eval().to(device=device, dtype=dtype, memory_format=torch.channels_last)
    pair = padded(clip[:2], 32).to(dtype)
    images = [x[None].contiguous(memory_format=torch.channels_last) for x in pair]
    return torch.inference_mode()(partial(net, *images))


def zoo(name: str, precision: str, device: str, clip: torch.Tensor) -> Callable[[], object]:
    """A network as a video would use it."""
    return stepper(load(name, device=device, precision=precision), clip)


if __name__ == "__main__":
    main()
