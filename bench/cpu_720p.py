"""Seconds a new 720p frame takes on this CPU: ffmpeg's minterpolate, OpenCV's DIS flow, blending, RIFE's network, and
the networks of the zoo, in turns in one process.

    python -m bench.cpu_720p [--clip FILE] [--runs 7] [--models fast]
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from bench.clips import real
from bench.common import save
from bench.rife import Rife
from tween.evaluate.steps import moving, padded, stepper
from tween.evaluate.timing import interleaved
from tween.video import minterpolate
from tween.zoo import fillers as known
from tween.zoo import load

SIZE = (720, 1280)


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/cpu_720p.json."""
    arguments = parse(argv)
    clip = real(arguments.clip, SIZE, count=8) if arguments.clip else moving(SIZE, count=8)
    cases = {"minterpolate": minterpolate.stepper(clip), **fillers(clip, arguments.models), **rife(clip)}
    timings = interleaved(cases, runs=arguments.runs, warmup=2)
    for name, timing in timings.items():
        print(
            f"{name:24} {timing.median:7.3f} s  (least {timing.least:.3f}, IQR {timing.iqr:.3f}, CPU {timing.cpu:.3f})"
        )
    rows = [{"method": name, "seconds_per_new_frame": timing} for name, timing in timings.items()]
    content = arguments.clip.name if arguments.clip else "generated"
    save("cpu_720p", rows, size="1280x720", threads=torch.get_num_threads(), clip=content)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument(
        "--models", nargs="*", default=[name for name, entry in known().items() if entry.file]
    )
    return parser.parse_args(argv)


def fillers(clip: torch.Tensor, models: list[str]) -> dict[str, Callable[[], object]]:
    """The methods without weights, and `models` in fp32 and bf16, each with its shared frame's features cached as in
    a video: frame k + 1 is new at every call."""
    cases = {name: load(name, device="cpu") for name in ("blend", "dis")}
    for name in models:
        for precision in ("fp32", "bf16"):
            cases[f"{name} {precision}"] = load(name, device="cpu", precision=precision)
    return {name: stepper(filler, clip) for name, filler in cases.items()}


def rife(clip: torch.Tensor) -> dict[str, Callable[[], object]]:
    """RIFE's layers with random weights."""
    net = Rife().eval()
    pair = padded(clip[:2], 32)
    cases = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        cast = copy.deepcopy(net).to(dtype=dtype, memory_format=torch.channels_last)
        images = [x[None].to(dtype).contiguous(memory_format=torch.channels_last) for x in pair]
        cases[f"RIFE's layers {name}"] = partial(run, cast, *images)
    return cases


@torch.inference_mode()
def run(net: Rife, image0: torch.Tensor, image1: torch.Tensor) -> torch.Tensor:
    """One frame."""
    return net(image0, image1, 0.5)


if __name__ == "__main__":
    main()
