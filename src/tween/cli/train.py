"""`tween train RECIPE`: train, resuming by itself where the same run stopped."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """Flags of `tween train`; each is an argument of the recipe."""
    p = argparse.ArgumentParser(prog="tween train", description=__doc__)
    p.add_argument("recipe", choices=["fast"])
    p.add_argument("--data", type=Path, required=True, help="folder with shots.csv and clips")
    p.add_argument("--packed", type=Path, required=True, help="where decoded frames are kept between runs")
    p.add_argument("--photos", type=Path, help="folder of .jpg whose pieces become synthetic layers")
    p.add_argument("--val", type=Path, help="folder of triplets; the best weights are kept by their PSNR")
    p.add_argument("--name", default="fast", help="runs/NAME holds checkpoints and logs")
    p.add_argument("--device", default="cuda")
    p.add_argument("--steps", type=int, default=60_000, help="of the whole schedule, over all resumed runs")
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--synthetic", type=float, default=0.33, help="share of a batch that is layered motion")
    p.add_argument("--crop", type=int, nargs=2, default=(256, 384), metavar=("H", "W"))
    p.add_argument("--pixels", type=float, default=24.0, help="greatest mean motion of a real triple")
    p.add_argument("--lr", type=float, default=5e-4)
    p.add_argument("--minutes", type=float, help="stop, saved, after this much time")
    p.add_argument("--workers", type=int, default=16, help="threads that decode clips")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    p.add_argument("--start", help="released weights to begin from, such as fast")
    p.add_argument("--resume", type=Path, help="go on from this checkpoint instead of the run's own last one")
    return p


def main(argv: list[str]) -> int:
    """Train; 0 when the run was saved."""
    args = vars(parser().parse_args(argv))
    from tween.engine.loop import train
    from tween.recipes.interp import fast

    args.pop("recipe")
    resume = args.pop("resume")
    report = train(fast(**args), resume=resume or True)
    state = "finished" if report.finished else "stopped; the same command goes on"
    print(f"{state} at step {report.step}, {report.samples_per_s:.0f} samples/s, {report.metrics}")
    return 0
