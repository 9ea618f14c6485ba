"""Time and memory of a frame filled by moving Gaussians: the first in a gap, and each further one in the same gap.

python -m bench.splat_speed [--checkpoint NAME] [--device cuda] [--runs 20] [--sizes 448x256 1280x720]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import torch

from bench.common import save
from tween.evaluate.models import ready
from tween.evaluate.timing import measure
from tween.infer.tile import Tiled
from tween.models.splat.filler import SplatFiller
from tween.zoo.load import DTYPES, place

MIDDLE, LATER = Fraction(1, 2), Fraction(3, 4)


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/splat_speed_DEVICE.json."""
    options = parse(argv)
    where = place(options.device)
    runs = options.runs or (20 if where.type == "cuda" else 2)
    rows = []
    for precision in options.precision:
        filler = made(options.checkpoint, where, DTYPES[precision])
        for size in options.sizes:
            for row in measured(filler, size, options.frames, where, runs):
                rows.append({"precision": precision} | row)
                print(rows[-1], flush=True)
    name = torch.cuda.get_device_name().replace(" ", "-").lower() if where.type == "cuda" else "cpu"
    print(save(f"splat_speed_{name}", rows))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--checkpoint", default="splat", help="whose network to time: a model, a run or a checkpoint"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runs", type=int, help="by default 20 on a GPU, 2 without")
    parser.add_argument("--sizes", nargs="+", default=["448x256", "1280x720"], metavar="WxH")
    parser.add_argument("--frames", nargs="+", type=int, default=[2, 3, 4], metavar="N")
    parser.add_argument("--precision", nargs="+", choices=DTYPES, default=["fp32", "bf16"])
    return parser.parse_args(argv)


def made(checkpoint: str, where: torch.device, dtype: torch.dtype) -> SplatFiller:
    """The network to time."""
    return SplatFiller(ready(checkpoint, device=str(where), precision="fp32").net, dtype=dtype)


def measured(
    filler: SplatFiller, size: str, frames: list[int], where: torch.device, runs: int
) -> Iterator[dict[str, Any]]:
    """A row for each N: milliseconds of a frame with all that its gap needs, of a further one, and peak MiB."""
    width, height = map(int, size.split("x"))
    for n in frames:
        whole = Tiled(filler.seeing(n))
        known = torch.rand(1, n, 3, height, width, generator=torch.Generator().manual_seed(0)).to(where)
        times = tuple(Fraction(i - (n - 1) // 2) for i in range(n))
        fresh = whole.begin(known[:, 0].shape, seed=0, device=where, dtype=known.dtype)
        state = whole.fill(fresh, known, times, (MIDDLE,))[1]
        first, mib = measure(partial(whole.fill, fresh, known, times, (MIDDLE,)), runs, str(where))
        later, _ = measure(partial(whole.fill, state, known, times, (LATER,)), runs, str(where))
        yield {
            "size": size,
            "frames": n,
            "first ms": 1e3 * first.median,
            "further ms": 1e3 * later.median,
            "peak MiB": mib,
            "timing": first,
        }


if __name__ == "__main__":
    main()
