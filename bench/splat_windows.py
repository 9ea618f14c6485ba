"""What more frames are worth: one true frame in the inner gap of four, filled from 2, 3 and 4 of them, beside other
models; on windows of clips that training held out, and on made scenes of curved motion.

python -m bench.splat_windows --data DIR [--photos DIR] [--hold-out 12] [--each 4] [--curves 60] [--device cuda]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from bench.common import save
from tween.evaluate import confidence
from tween.evaluate.models import ready
from tween.evaluate.splat import BESIDE, beside
from tween.evaluate.windows import clip_scenes, curved_scenes, window_psnr
from tween.recipes.interp import load
from tween.recipes.splat_feeds import split
from tween.zoo import place

PAIRS = (("n3", "n2"), ("n4", "n2"), ("n4", "dis"), ("n4", "fast"), ("n2", "fast"))

Table = Mapping[str, Mapping[str, float]]
"""PSNR in dB by method and scene."""


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/splat_windows.json."""
    options = parse(argv)
    where = place(options.device)
    filler = ready(options.model, device=options.device, precision="fp32")
    packed = options.packed or options.data / "packed"
    store, shots = load(options.data, packed, options.photos, where, pixels=24.0, workers=8)
    shots = split(shots, options.hold_out)[1] if options.hold_out else shots
    kinds = {
        "clips": clip_scenes(store, shots, each=options.each),
        "curves": curved_scenes(store, options.curves, seed=options.seed),
    }
    fillers = beside(filler, BESIDE, options.device)
    found = {kind: window_psnr(fillers, scenes, device=where) for kind, scenes in kinds.items()}
    print(save("splat_windows", rows(found), differences=differences(found), psnr=found))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with shots.csv and clips")
    parser.add_argument("--packed", type=Path, help="where decoded clips are kept; else DATA/packed")
    parser.add_argument("--photos", type=Path, help="folder of .jpg whose pieces become layers, too")
    parser.add_argument(
        "--hold-out", type=int, default=12, help="every so many'th shot, as in training; 0: all"
    )
    parser.add_argument("--each", type=int, default=4, help="windows of a shot")
    parser.add_argument("--curves", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7, help="of the curves")
    parser.add_argument("--model", default="splat")
    parser.add_argument("--device", default="auto")
    return parser.parse_args(argv)


def rows(found: Mapping[str, Table]) -> list[dict[str, Any]]:
    """A row a kind of windows and method: the mean PSNR in dB over shots, and of how many windows."""
    return [
        {"kind": kind, "method": name, "psnr": mean(by_shot(values).values()), "windows": len(values)}
        for kind, table in found.items()
        for name, values in table.items()
        if values
    ]


def differences(found: Mapping[str, Table]) -> list[dict[str, Any]]:
    """Paired differences of PSNR with half the width of their 95 % confidence, over shots."""
    out = []
    for kind, table in found.items():
        for a, b in PAIRS:
            apart = by_shot({name: table[a][name] - table[b][name] for name in table[a]})
            if len(apart) > 1:
                sure = confidence.mean([list(apart.values())])
                out.append(
                    {"kind": kind, "a": a, "b": b, "mean": sure.mean, "half": sure.half, "units": len(apart)}
                )
    return out


def by_shot(values: Mapping[str, float]) -> dict[str, float]:
    """Means of the windows of each shot: these are alike, so shots are what is counted. A made scene is one of its
    own."""
    names: dict[str, list[float]] = {}
    for name, value in values.items():
        names.setdefault(name.split(" frame ")[0], []).append(value)
    return {name: mean(those) for name, those in names.items()}


if __name__ == "__main__":
    main()
