"""Whether shards are read as fast as a GPU trains: samples a second of reading alone, of training on batches that lie
on the device, and of training on shards, with how busy the GPU is.

python -m bench.loading [--shards DIR ...] [--recipes thesis fast] [--workers 8]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bench import common, scaling
from tween.data import shards
from tween.data.mixed import Part, batches
from tween.data.shuffled import order
from tween.data.source import Sample
from tween.engine.distributed import Ranks
from tween.engine.loop import begin, take_step
from tween.zoo.load import place

FRAME = (256, 448)  # Vimeo90K's


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument(
        "--shards", type=Path, nargs="+", default=[], help="folders of shards; without them some are made"
    )
    p.add_argument("--recipes", nargs="+", choices=list(scaling.SHAPES), default=list(scaling.SHAPES))
    p.add_argument("--samples", type=int, default=2000, help="in the shards that are made")
    p.add_argument("--batch-size", type=int, help="by default 8 for thesis, 128 for fast")
    p.add_argument("--crop", type=int, nargs=2, metavar=("H", "W"), help="by default 256x256 and 256x384")
    p.add_argument("--workers", type=int, default=max(1, min(16, (os.cpu_count() or 2) - 1)))
    p.add_argument("--steps", type=int, default=40, help="measured in a round")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--device", default="auto")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    return p


def main(argv: list[str] | None = None) -> None:
    """Measure, write results/loading.json."""
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        folders = args.shards or make(Path(folder), args.samples)
        rows = [row for recipe in args.recipes for row in compare(recipe, folders, args)]
    about = {"workers": args.workers, "shards": "given" if args.shards else f"made, {args.samples} samples"}
    print(common.save("loading", rows, frame=list(FRAME), compiled=args.compiled, **about))


def make(folder: Path, samples: int) -> list[Path]:
    """The same samples as PNG and as they are: soft shapes under the grain of a camera, so that PNG has real work."""
    for name in ("png", "raw"):
        pictures = shards.in_threads(picture, range(samples), os.cpu_count() or 1)
        shards.write(folder / name, pictures, raw=name == "raw", per_shard=500)
    return [folder / "png", folder / "raw"]


def picture(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((3, 3, 16, 28), np.float32))
    soft = F.interpolate(coarse, FRAME, mode="bicubic") * 255
    grain = torch.from_numpy(rng.normal(0, 2.5, soft.shape).astype(np.float32))
    return Sample((soft + grain).round().clamp(0, 255).byte(), 0.5)


def compare(recipe: str, folders: list[Path], args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for batches on the device, and one for each folder of shards; they take turns."""
    device = place(args.device)
    batch_size, height, width = scaling.SHAPES[recipe]
    batch_size, size = args.batch_size or batch_size, tuple(args.crop or (height, width))
    run = scaling.build(recipe, batch_size, size, device, compiled=args.compiled)
    state = begin(run, False, Ranks())

    def source(folder: Path) -> Callable[[int], Any]:
        part = Part(source=shards.read(folder), share=1, size=partial(same, size=size), order=order)
        return batches(
            [part],
            batch_size=batch_size,
            seed=0,
            device=device,
            workers=args.workers,
        )

    sources = {"device": run.batch} | {folder.name: source(folder) for folder in folders}
    alone = {folder.name: reading(source(folder), args.steps, device) for folder in folders}
    runs = {name: stepper(replace(run, batch=batch), state) for name, batch in sources.items()}
    found: dict[str, list[tuple[float, float | None]]] = {name: [] for name in runs}
    for step in runs.values():
        measure(step, args.steps, device)  # compile, start the workers
    for _ in range(args.rounds):
        for name, step in runs.items():
            found[name].append(measure(step, args.steps, device))
    rows = []
    for name, done in found.items():
        speed = batch_size * args.steps / statistics.median(seconds for seconds, _ in done)
        base = rows[0]["samples_per_s"] if rows else speed
        busy = [percent for _, percent in done if percent is not None]
        row = {
            "recipe": recipe,
            "source": name,
            "batch": batch_size,
            "read_alone_per_s": None if name == "device" else batch_size * alone[name],
            "samples_per_s": speed,
            "share_of_device": speed / base,
            "gpu_busy_percent": statistics.median(busy) if busy else None,
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def same(index: int, *, size: tuple[int, int]) -> tuple[int, int]:
    return size


def reading(batch: Callable[[int], Any], steps: int, device: torch.device) -> float:
    """Batches a second with nothing else to do, once those made ahead are used up."""
    for index in range(steps // 2):
        batch(index)
    begun = time.perf_counter()
    for index in range(steps // 2, steps // 2 + steps):
        batch(index)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return steps / (time.perf_counter() - begun)


def stepper(run: Any, state: Any) -> Callable[[], Any]:
    """A call that takes the next step of `run`, whatever other runs did to the state: batches follow one another."""
    index = count()
    batch = run.batch
    run = replace(run, batch=lambda _: batch(next(index)))
    return lambda: take_step(run, state, Ranks())


def measure(step: Callable[[], Any], steps: int, device: torch.device) -> tuple[float, float | None]:
    """Seconds of so many steps, and how busy the GPU was in percent (None without one)."""
    with busy(device) as percents:
        begun = time.perf_counter()
        for _ in range(steps):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - begun
    return seconds, statistics.mean(percents) if percents else None


@contextmanager
def busy(device: torch.device) -> Iterator[list[float]]:
    """Fills with the share of time in which a kernel ran, as nvidia-smi samples it while the block runs."""
    percents: list[float] = []
    over = threading.Event()
    ask = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    if device.type == "cuda":  # by its name: CUDA_VISIBLE_DEVICES renumbers, but not for nvidia-smi
        ask += ["-i", f"GPU-{torch.cuda.get_device_properties(device).uuid}"]

    def watch() -> None:
        while not over.wait(0.5):
            said = subprocess.run(ask, capture_output=True, text=True, check=False)
            if said.returncode == 0 and not over.is_set():
                percents.append(float(said.stdout.split()[0]))

    thread = threading.Thread(target=watch, daemon=True)
    if device.type == "cuda":
        thread.start()
    try:
        yield percents
    finally:
        over.set()
        if device.type == "cuda":
            thread.join()


if __name__ == "__main__":
    main()
