"""What drifting does where it can be seen: two modes in a plane, digits from noise, and digits restored from 12 of
their 64 pixels, by drifting, by squared error and by both, with and without holding what is given.

python -m bench.drift_toys [--seeds 3] [--steps 600] [--digits-steps 600]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from examples import drifting as toys

from bench.common import save
from tween.evaluate.confidence import mean

FLOORS = {"log space": 0.0, "floor 1e-6": toys.PUBLISHED_FLOOR}
METHODS: dict[str, tuple[str | None, bool]] = {
    "inverse distance": (None, False),
    "drifting": ("drift", False),
    "drifting, clamped": ("drift", True),
    "drifting and squared error, clamped": ("both", True),
    "squared error": ("paired", False),
    "squared error, clamped": ("paired", True),
}
"""What pulls, and whether what is given stays as it is."""

Row = dict[str, Any]


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/drift_toys.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600, help="of the two modes")
    parser.add_argument("--digits-steps", type=int, default=600)
    options = parser.parse_args(argv)
    seeds, data = range(options.seeds), toys.digits()
    rows = [*planes(seeds, options.steps), *noise(data, seeds, options.digits_steps)]
    rows += restored(data, seeds, options.digits_steps)
    floors = {"energy": toys.energy(toys.bimodal(1000), toys.bimodal(1000)), "frechet": data.far(data.test)}
    print(save("drift_toys", rows, real=floors))


def planes(seeds: Sequence[int], steps: int) -> list[Row]:
    """Energy distance from the two modes, and how far the share of one is from a half, by start and floor."""
    rows = []
    for start in toys.STARTS:
        for name, floor in FLOORS.items():
            made = [toys.two_modes(start, floor=floor, steps=steps, n=256, seed=seed) for seed in seeds]
            far = [toys.energy(x, toys.bimodal(1000)) for x in made]
            lean = [abs(float((x[:, 0] > 0).float().mean()) - 0.5) for x in made]
            rows.append(row("two modes", f"begun {start}, {name}", energy=far, lean=lean))
    return rows


def noise(data: toys.Digits, seeds: Sequence[int], steps: int) -> list[Row]:
    """Deviation within a class and Frechet distance of digits made from noise, by floor."""
    rows = []
    for name, floor in FLOORS.items():
        made = [toys.generated(data, floor=floor, steps=steps, seed=seed) for seed in seeds]
        spread = [float(x.std(1).mean()) for x in made]
        rows.append(
            row(
                "digits from noise", name, deviation=spread, frechet=[data.far(x.flatten(0, 1)) for x in made]
            )
        )
    return rows


def restored(data: toys.Digits, seeds: Sequence[int], steps: int) -> list[Row]:
    """What each method makes of held-out digits."""
    rows = []
    for name, (pull, clamp) in METHODS.items():
        found = [toys.restored(data, pull, clamp=clamp, steps=steps, seed=seed) for seed in seeds]
        kinds = ("error", "anchors", "right", "frechet")
        rows.append(
            row("digits restored", name, **{kind: [getattr(x, kind) for x in found] for kind in kinds})
        )
        print(rows[-1], flush=True)
    return rows


def row(what: str, method: str, **values: Sequence[float]) -> Row:
    """Means over seeds, and `.._half`, half of their 95 % interval; None from one seed."""
    made: Row = {"what": what, "method": method}
    for name, each in values.items():
        found = mean([[value] for value in each])
        made |= {name: found.mean, f"{name}_half": found.half if len(each) > 1 else None}
    return made


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
