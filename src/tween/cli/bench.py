"""`tween bench time`: milliseconds, memory, operations and parameters of a new frame, on this machine."""

from __future__ import annotations

import json as jsonlib
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table as Grid
from tyro.conf import Positional, arg

from tween.core import TweenError

SIZES = {"vimeo": (256, 448), "720p": (720, 1280), "1080p": (1080, 1920), "4k": (2160, 3840)}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Time a new frame as in a video (the shared frame known from before), methods in turns on a CPU."""

    what: Annotated[Positional[Literal["time"]], arg(metavar="time")]
    models: tuple[str, ...] = ("blend", "dis", "minterpolate", "fast")
    """Names of `tween models`, minterpolate (ffmpeg's filter), runs or checkpoints."""
    sizes: tuple[str, ...] = field(default_factory=lambda: tuple(SIZES))
    """vimeo (448x256), 720p, 1080p, 4k, or any WIDTHxHEIGHT."""
    stem_stride: tuple[Literal[1, 2, 4], ...] = ()
    """Of the stem of thesis, each timed by itself with random weights; by default the released one."""
    scale: float | None = None
    """Fraction of the frame's size at which motion is estimated."""
    runs: int = 20
    """Of each method at each size; the median and the spread between the quartiles are reported."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the networks."""
    json: Path | None = None
    """Also write the rows here, for `tween eval --targets`."""


def main(argv: list[str]) -> int:
    """Print a table for each size."""
    options = tyro.cli(Options, args=argv, prog="tween bench", config=(tyro.conf.FlagCreatePairsOff,))
    sizes = [size(text) for text in options.sizes]
    if options.runs < 1:
        raise TweenError(f"--runs should be at least 1, but is {options.runs}")
    if options.json and not options.json.resolve().parent.is_dir():
        raise TweenError(f"the folder of --json {options.json} is not there; make it first")
    from tween.evaluate.speed import at_size, fillers
    from tween.zoo import place

    device = str(place(options.device))
    methods = fillers(
        options.models,
        device=device,
        precision=options.precision,
        scale=options.scale,
        strides=options.stem_stride,
    )
    machine = describe(device)
    print(f"a new frame on {machine}, median of {options.runs} runs")
    rows = []
    for each in sizes:
        found = [row.json() for row in at_size(methods, each, device=device, runs=options.runs)]
        Console(width=120).print(grid(found))
        rows += found
    if options.json:
        record = {"bench": "time", "machine": machine, "runs": options.runs, "rows": rows}
        options.json.write_text(jsonlib.dumps(record, indent=1) + "\n")
    return 0


def size(text: str) -> tuple[int, int]:
    """(h, w) of `720p` or `1280x720`."""
    if text.lower() in SIZES:
        return SIZES[text.lower()]
    w, _, h = text.partition("x")
    if not (w.isdecimal() and h.isdecimal() and min(int(w), int(h)) >= 32):
        raise TweenError(f"a size is {', '.join(SIZES)} or WIDTHxHEIGHT from 32x32 on, but got {text!r}")
    return int(h), int(w)


def grid(rows: list[dict[str, Any]]) -> Grid:
    """One size's table."""
    table = Grid(rows[0]["size"], "ms", "IQR", "GPU MiB", "MiB by count", "GFLOP", "parameters", box=None)
    for row in rows:
        speed = row["why"] if row["ms"] is None else f"{row['ms']:.2f}"
        flops = None if row["flops"] is None else row["flops"] / 1e9
        rest = (
            (row["iqr"], "{:.2f}"),
            (row["mib"], "{:.0f}"),
            (row["computed_mib"], "{:.0f}"),
            (flops, "{:,.1f}"),
        )
        cells = ["-" if value is None else form.format(value) for value, form in rest]
        table.add_row(row["model"], speed, *cells, f"{row['parameters']:,}")
    return table


def describe(device: str) -> str:
    """The machine in words."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
