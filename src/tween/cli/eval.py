"""`tween eval MODEL DATASET --path DIR`: PSNR, SSIM and interpolation error by a paper's protocol."""

from __future__ import annotations

import json as jsonlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import track
from tyro.conf import Positional, arg

from tween.core import TweenError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure a model on a test set's middle frames, by the protocol of a paper."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A name that `tween models` lists."""
    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    """triplets (folders of im1, im2, im3), middlebury (other-data, other-gt-interp) or ucf101 (numbered folders)."""
    path: Path
    """The set's folder."""
    protocol: Literal["rife", "ema", "ifrnet"] | None = None
    """Whose rounding and padding: by default ema for triplets (unrounded), rife for the others (8-bit)."""
    json: Path | None = None
    """Also write the means and the row of every picture here."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the network."""
    scale: float = 1.0
    """Fraction of the frame's size at which motion is estimated."""


def main(argv: list[str]) -> int:
    """Print one line: the means and the protocol they were measured by."""
    options = tyro.cli(Options, args=argv, prog="tween eval")
    from tween.data import DATASETS
    from tween.evaluate import choose, middle_frames
    from tween.zoo import load, place

    if options.json and not options.json.resolve().parent.is_dir():
        raise TweenError(f"the folder of --json {options.json} is not there; make it first")
    way = choose(options.dataset, options.protocol)
    filler = load(options.model, device=options.device, precision=options.precision, scale=options.scale)
    scenes = DATASETS[options.dataset](options.path)
    shown = track(
        scenes,
        f"{options.model} on {options.dataset}",
        transient=True,
        disable=not sys.stderr.isatty(),
        console=Console(stderr=True),
    )
    table = middle_frames(filler, shown, way, device=place(options.device))
    print(f"{options.model} on {options.dataset}: {table}")
    if options.json:
        result = {"model": options.model, "dataset": options.dataset, **table.json()}
        options.json.write_text(jsonlib.dumps(result, indent=1) + "\n")
    return 0
