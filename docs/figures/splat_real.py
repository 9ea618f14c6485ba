"""Draws splat_real.png: of windows of recorded shots that training never read, the three whose motion is the most
curved, of three shots; the four frames given, the true one between the inner two, and what `splat` makes of two and of
four, and `fast` of two. What is shown is where most moves. After the measurement, with its options:

PYTHONPATH=. python docs/figures/splat_real.py --data DIR --unseen CLIPS FILM
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench.common import load
from bench.splat_windows_real import LINES, Place, cut, parse, sources
from PIL import Image
from side_by_side import sheet
from splat import busiest
from torch import Tensor

from tween.evaluate.models import ready
from tween.evaluate.splat import beside
from tween.evaluate.windows import Scene, filled
from tween.video.bulk import pack

SHOWN = {"fast": "fast, 2", "n2": "splat, 2", "n4": "splat, 4"}


def main() -> None:
    """Draw it beside this script."""
    options = parse(None)
    windows = load("splat_windows_real")["windows"]
    fillers = beside(ready("splat", device="cpu", precision="fp32"), ["fast"], "cpu")
    rows = [
        row(each, {label: filled(fillers[name], each, "cpu")[0] for name, label in SHOWN.items()}, windows)
        for each in rebuilt(options, most_curved(windows, 3))
    ]
    picture = sheet(rows).quantize(256, dither=Image.Dither.NONE)
    picture.save(Path(__file__).with_suffix(".png"), optimize=True)


def most_curved(windows: dict[str, Any], count: int) -> list[str]:
    """The most curved window of each recorded shot, and of those the `count` most curved."""
    best = {}
    for name in sorted(
        (n for n, w in windows.items() if w["kind"] == "recorded"), key=lambda n: windows[n]["curvature"]
    ):
        best[name.split(" frame ")[0]] = name
    return sorted(best.values(), key=lambda n: -windows[n]["curvature"])[:count]


def rebuilt(options: Any, names: list[str]) -> Iterator[Scene]:
    """Those windows, cut anew."""
    for _, root, shots in sources(options):
        for shot in shots:
            for name in names:
                found = name.rpartition(" frame ")
                if found[0] == f"{Path(shot.file).stem} at {shot.start}":
                    (array,) = pack(
                        [root / shot.file], options.packed or options.unseen[0] / "packed", LINES, 1
                    )
                    offset, gap = map(int, found[2].split(" gap "))
                    yield cut(np.load(array, mmap_mode="r"), shot, Place(shot.start + offset, gap))


def row(each: Scene, made: dict[str, Tensor], windows: dict[str, Any]) -> dict[str, Tensor]:
    """caption -> crop `3 h w`."""
    facts = windows[each.name]
    first = f"curvature {facts['curvature']:.2f}: 1st"
    cells = dict(zip((first, "2nd", "3rd", "4th"), each.frames, strict=True)) | {"truth": each.truth}
    cells |= {f"{label}: {facts['psnr'][name]:.1f} dB": made[label] for name, label in SHOWN.items()}
    at = busiest(each.frames[1], each.frames[2])
    return {caption: x[(..., *at)].clamp(0, 1) for caption, x in cells.items()}


if __name__ == "__main__":
    main()
