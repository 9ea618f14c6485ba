"""`tween eval splat vimeo|x4k|all|windows`: the plan's benchmarks, and what more frames are worth."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from tween.core import TweenError

DATASETS = ("vimeo", "x4k", "all", "windows")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure a splat network on Vimeo-90K's and X4K1000FPS's test sets, or on windows of four frames."""

    dataset: Annotated[Positional[Literal["vimeo", "x4k", "all", "windows"]], arg(metavar="DATASET")]
    """vimeo, x4k, or all of both; windows: the same frames filled from 2, 3 and 4 known ones, beside other models."""
    checkpoint: Annotated[str, arg(metavar="NAME")] = "splat"
    """A released network, a run (NAME, or NAME_best) or a checkpoint such as runs/NAME/best.safetensors."""
    vimeo_root: Path | None = None
    """Vimeo-90K triplets."""
    x4k_root: Path | None = None
    """X4K1000FPS, or its folder test."""
    data: Path | None = None
    """For windows: a folder with shots.csv and clips."""
    packed: Path | None = None
    """For windows: where decoded clips are kept; else DATA/packed."""
    hold_out: Annotated[int, arg(metavar="K")] = 0
    """For windows: only every K-th shot, as in training; 0: all."""
    each: int = 1
    """For windows: how many of every shot."""
    curves: int = 30
    """For windows: how many made scenes of curved and accelerating motion, cut from the same clips."""
    pixels: float = 24.0
    """For windows: greatest mean motion in a gap."""
    json: Path | None = None
    """Also write all values here."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""


def main(argv: list[str]) -> int:
    """Print a line a set, or a table of means."""
    options = tyro.cli(Options, args=argv, prog="tween eval splat")
    from tween.evaluate.models import ready
    from tween.models.splat.filler import SplatFiller

    filler = ready(options.checkpoint, device=options.device, precision="fp32")
    if not isinstance(filler, SplatFiller):
        raise TweenError(f"tween eval splat needs a network of Gaussians, but {options.checkpoint} is none")
    values = windows(options, filler) if options.dataset == "windows" else sets(options, filler)
    if options.json:
        options.json.write_text(jsonlib.dumps({"model": options.checkpoint, **values}, indent=1) + "\n")
    return 0


def sets(options: Options, filler: Any) -> dict[str, Any]:
    """By the protocols of the papers; a set with many values by name."""
    from tween.data import DATASETS as KNOWN
    from tween.evaluate.splat import SETS, measured
    from tween.zoo import place

    values = {}
    for name in SETS if options.dataset == "all" else (options.dataset,):
        root = {"vimeo": options.vimeo_root, "x4k": options.x4k_root}[name]
        if root is None:
            raise TweenError(
                f"tween eval splat {options.dataset} needs --{name}-root; give the folder of the set"
            )
        table = measured(filler, name, KNOWN[SETS[name]].read(root), place(options.device))
        print(f"{options.checkpoint} on {name}: {table}", flush=True)
        values[name] = table.json()
    return values


def windows(options: Options, filler: Any) -> dict[str, Any]:
    """Mean PSNR by method, of real windows and of made ones, each with every scene's."""
    from statistics import mean

    from tween.evaluate.splat import BESIDE, beside
    from tween.evaluate.windows import clip_scenes, curved_scenes, window_psnr
    from tween.recipes.interp import load
    from tween.recipes.splat_feeds import split
    from tween.zoo import place

    if options.data is None:
        raise TweenError("tween eval splat windows needs --data; give a folder with shots.csv and clips")
    device, packed = place(options.device), options.packed or options.data / "packed"
    store, shots = load(options.data, packed, None, device, pixels=options.pixels, workers=4)
    shots = split(shots, options.hold_out)[1] if options.hold_out else shots
    fillers, values = beside(filler, BESIDE, options.device), {}
    for kind, scenes in (
        ("clips", clip_scenes(store, shots, each=options.each)),
        ("curves", curved_scenes(store, options.curves)),
    ):
        found = window_psnr(fillers, scenes, device=device)
        count = len(next(iter(found.values())))
        shown = ", ".join(f"{name} {mean(rows.values()):.2f}" for name, rows in found.items() if rows)
        print(f"{kind}, {count} windows, PSNR in dB: {shown or 'none long enough'}", flush=True)
        values[kind] = found
    return values
