"""`tween eval impute`: sparse keyframes of held-out shots, filled by impute and by what it begins with."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from tween.core import TweenError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Fill gaps of several lengths in shots that impute has not learned from, and compare with the truth."""

    data: Path
    """A folder with shots.csv and clips."""
    packed: Path
    """Where decoded clips are kept."""
    judge: Path
    """A checkpoint of a classifier of pictures (of `tween train keypatches`): perceptual and Frechet distances are of
    its features."""
    checkpoint: str | None = None
    """A run (NAME, or NAME_best) or a checkpoint of a refiner; without, only the others are measured."""
    beside: tuple[str, ...] = ("blend", "dis", "fast")
    """Models to compare with."""
    gaps: tuple[int, ...] = (4, 8, 16)
    """Frames from keyframe to keyframe."""
    size: tuple[int, int] = (256, 384)
    """Height and width of the frames; larger ones are halved and cut."""
    hold_out: int = 8
    """Only every so many'th shot, as in training; 0: all."""
    json: Path | None = None
    """Also write all values here, gap by gap as they are done."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""


def main(argv: list[str]) -> int:
    """Print a table."""
    return run(tyro.cli(Options, args=argv, prog="tween eval impute"))


def run(options: Options) -> int:
    """Measure, print, write."""
    from tween.data.stretches import films, middles
    from tween.evaluate.impute_video import gaps_table, markdown
    from tween.evaluate.models import find, ready
    from tween.recipes.impute import read_encoder
    from tween.zoo import place

    device, longest = place(options.device), max(options.gaps)
    found = films(options.data, options.packed, t=3 * longest + 1, hold_out=-options.hold_out)
    fillers = {
        name: ready(name, device=str(device), precision="auto" if name != "fast" else "fp32")
        for name in options.beside
    }
    if options.checkpoint:
        if find(options.checkpoint) is None:
            raise TweenError(
                f"{options.checkpoint} should be a run or a checkpoint of a refiner, but is not there"
            )
        fillers["impute"] = ready(options.checkpoint, device=str(device), precision="fp32")
    about = {
        "checkpoint": options.checkpoint,
        "judge": str(options.judge),
        "shots": [f"{shot.file}:{shot.start}" for shot in found.shots],
        "size": options.size,
        "device": str(device),
    }
    table: dict[int, Any] = {}

    def seen(gap: int, row: dict[str, Any]) -> None:
        table[gap] = row
        print(markdown({gap: row}), flush=True)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(jsonlib.dumps({"about": about, "gaps": table}, indent=1) + "\n")

    judge = read_encoder(options.judge, str(device))
    gaps_table(
        fillers,
        middles(found, t=3 * longest + 1, size=options.size),
        options.gaps,
        judge,
        device=device,
        seen=seen,
    )
    return 0
