"""Training by several processes: samples a second against one, as replicas (DDP) and as shards (FSDP2).

python -m bench.scaling [--recipes thesis fast] [--processes 2] [--kinds replicas shards]

Batches are random and lie on the device: what is measured is the step. Rounds of one and of several processes take
turns, each of them started by torchrun anew.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import common
from tween.data.clips import Triples
from tween.engine import Run, distributed
from tween.engine.loop import begin, take_step
from tween.models.interp.fast import FastNet
from tween.models.interp.task import InterpTask
from tween.recipes.thesis import thesis
from tween.zoo.load import place

KINDS = ("replicas", "shards")
SHAPES = {"thesis": (8, 256, 256), "fast": (128, 256, 384)}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--recipes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    p.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    p.add_argument("--processes", type=int, default=2)
    p.add_argument("--batch-size", type=int, help="samples a process; by default 8 for thesis, 128 for fast")
    p.add_argument("--crop", type=int, nargs=2, metavar=("H", "W"), help="by default 256x256 and 256x384")
    p.add_argument("--steps", type=int, default=30, help="measured in a round")
    p.add_argument("--warmup", type=int, default=10, help="steps before them")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--device", default="auto")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    p.add_argument(
        "--round", type=Path, help=argparse.SUPPRESS
    )  # one process of a round: where its result goes
    return p


def main(argv: list[str] | None = None) -> None:
    """Measure, write results/scaling.json; or, started by torchrun, take part in a round."""
    args = parser().parse_args(argv)
    if args.round:
        take_part(args)
        return
    rows = [row for recipe in args.recipes for row in compare(recipe, args)]
    print(common.save("scaling", rows, processes=args.processes, compiled=args.compiled))


def compare(recipe: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for one process, and one for each kind of several, with how many times as fast they are."""
    cases = [("replicas", 1)] + [(kind, args.processes) for kind in args.kinds]
    rounds: dict[Any, list[dict[str, float]]] = {case: [] for case in cases}
    for _ in range(args.rounds):
        for case in cases:
            rounds[case].append(start(recipe, *case, args))
    speed = {c: statistics.median(r["samples_per_s"] for r in done) for c, done in rounds.items()}
    rows = []
    for kind, processes in cases:
        row = {
            "recipe": recipe,
            "kind": kind if processes > 1 else "alone",
            "processes": processes,
            "batch": rounds[kind, processes][0]["batch"],
            "samples_per_s": speed[kind, processes],
            "rounds": [r["samples_per_s"] for r in rounds[kind, processes]],
            "ratio": speed[kind, processes] / speed[cases[0]],
            "peak_gib": max(r["peak_gib"] for r in rounds[kind, processes]),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def start(recipe: str, kind: str, processes: int, args: argparse.Namespace) -> dict[str, float]:
    """A round of its own processes."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "round.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={processes}", "-m", "bench.scaling", "--round", str(result)]
        command += ["--recipes", recipe, "--kinds", kind, "--device", args.device]
        command += [f"--steps={args.steps}", f"--warmup={args.warmup}"]
        command += [f"--batch-size={args.batch_size}"] if args.batch_size else []
        command += ["--crop", *map(str, args.crop)] if args.crop else []
        command += [] if args.compiled else ["--no-compile"]
        cores = max(
            1, (os.cpu_count() or 1) // args.processes
        )  # as many for one process as for each of several
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(cores)})
        return json.loads(result.read_text())


def take_part(args: argparse.Namespace) -> None:
    """One process: warm up, take the measured steps together with the others, and the first says how long it took."""
    ranks, device = distributed.start(), place(args.device)
    recipe = args.recipes[0]
    batch_size, height, width = SHAPES[recipe]
    batch_size, size = args.batch_size or batch_size, tuple(args.crop or (height, width))
    run = build(recipe, batch_size, size, device, compiled=args.compiled)
    run = replace(run, sharded=args.kinds[0] == "shards")
    state = begin(run, False, ranks)
    for _ in range(args.warmup):
        take_step(run, state, ranks)
    wait = partial(distributed.any_of, False, device, ranks)
    seconds = timed(lambda: [take_step(run, state, ranks) for _ in range(args.steps)], device, wait)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    if ranks.rank == 0:
        speed = args.steps * batch_size * ranks.world / seconds
        result = {"samples_per_s": speed, "batch": batch_size, "peak_gib": peak / 2**30}
        args.round.write_text(json.dumps(result))
    distributed.stop()


def timed(work: Callable[[], Any], device: torch.device, wait: Callable[[], Any]) -> float:
    """Seconds from when all processes begin until all are done."""

    def together() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        wait()
        return time.perf_counter()

    begun = together()
    work()
    return together() - begun


def build(
    recipe: str, batch_size: int, size: tuple[int, int], device: torch.device, *, compiled: bool
) -> Run:
    """The recipe's own task and optimiser over random batches."""
    batches = [random_batch(batch_size, size, device, seed) for seed in range(2)]
    if recipe == "thesis":
        return thesis(
            phase=2,
            batch=lambda index: batches[index % 2],
            device=str(device),
            steps=10_000,
            batch_size=batch_size,
            freeze_backbone=0,
            compiled=compiled,
        )
    wrap: Callable[[Any], Any] = partial(torch.compile, dynamic=False) if compiled else lambda f: f
    task = InterpTask(FastNet(), compile_=wrap)
    task.modules.to(device, memory_format=torch.channels_last)
    return Run(
        name="scaling",
        task=task,
        batch=lambda index: batches[index % 2],
        batch_size=batch_size,
        steps=10_000,
        precision="bf16",
        ema=0.999,
    )


def random_batch(n: int, size: tuple[int, int], device: torch.device, seed: int) -> Triples:
    g = torch.Generator(device).manual_seed(seed)
    nothing = torch.zeros(n, 4, *size, device=device)
    return Triples(
        frames=torch.rand(n, 3, 3, *size, device=device, generator=g),
        t=torch.full((n,), 0.5, device=device),
        flow=nothing,
        between=nothing,
        known=torch.zeros(n, device=device),
    )


if __name__ == "__main__":
    main()
