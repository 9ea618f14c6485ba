"""`tween train RECIPE`: train, resuming by itself where the same run stopped."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tween.cli import train_impute, train_interp, train_splat, train_world
from tween.core import TweenError


def parser() -> argparse.ArgumentParser:
    """Flags of `tween train`, by recipe."""
    p = argparse.ArgumentParser(prog="tween train", description=__doc__)
    recipes = p.add_subparsers(dest="recipe", required=True, metavar="RECIPE")
    add_fast(recipes.add_parser("fast", help="the small network that users run"))
    add_quality(recipes.add_parser("quality", help="fast, and a refinement that begins by changing nothing"))
    train_interp.add(recipes.add_parser("interp", help="thesis, in the plan's three phases"))
    train_world.add_doom(recipes.add_parser("doom", help="a world from nothing: recorded, trained, judged"))
    train_world.add_vae(recipes.add_parser("vae", help="the autoencoder of a world"))
    train_world.add_stream(
        recipes.add_parser("stream", help="the network of a world, or a student of few steps")
    )
    train_splat.add(recipes.add_parser("splat", help="N frames as one moving cloud of Gaussians"))
    train_impute.add_keypatches(
        recipes.add_parser("keypatches", help="refiners of pictures by each objective, judged")
    )
    train_impute.add_impute(recipes.add_parser("impute", help="one step from a coarse fill to the whole"))
    train_impute.add_latent_mae(
        recipes.add_parser("latent-mae", help="the encoder of impute, without classes")
    )
    return p


def add_fast(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train fast`; each is an argument of the recipe."""
    add_both(p)
    p.add_argument(
        "--flips",
        type=float,
        default=0.0,
        help="weight of the distance to what --start gives under all flips",
    )


def add_both(p: argparse.ArgumentParser) -> None:
    """Flags of `fast` and of `quality`."""
    p.add_argument(
        "--data", type=Path, required=True, help="folder of clips; its shots.csv says where cuts are"
    )
    p.add_argument("--packed", type=Path, required=True, help="where decoded frames are kept between runs")
    p.add_argument("--photos", type=Path, help="folder of pictures whose pieces become synthetic layers")
    p.add_argument("--val", type=Path, help="folder of triplets; the best weights are kept by their PSNR")
    p.add_argument("--name", default="fast", help="runs/NAME holds checkpoints and logs")
    p.add_argument("--device", default="cuda")
    p.add_argument("--steps", type=int, default=60_000, help="of the whole schedule, over all resumed runs")
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--synthetic", type=float, default=0.33, help="share of a batch that is layered motion")
    p.add_argument(
        "--crop", type=int, nargs="+", default=(256, 384), metavar="H W", help="of a batch; several in turn"
    )
    p.add_argument(
        "--shrink",
        type=float,
        nargs="+",
        default=(1.0,),
        help="estimate motion on crops this much smaller; one for all, or one for each",
    )
    p.add_argument("--pixels", type=float, default=24.0, help="greatest mean motion of a real triple")
    p.add_argument("--lr", type=float, default=5e-4)
    p.add_argument("--minutes", type=float, help="stop, saved, after this much time")
    p.add_argument("--workers", type=int, default=16, help="threads that decode clips")
    p.add_argument("--sharded", action="store_true", help="under torchrun: FSDP2 instead of DDP")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    p.add_argument(
        "--start", help="weights to begin from: released ones such as fast, a run's NAME or NAME_best"
    )
    p.add_argument("--resume", type=Path, help="go on from this checkpoint instead of the run's own last one")


def add_quality(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train quality`: those of `fast`, with its own defaults. Without --steps there are as many as
    --minutes allow."""
    add_both(p)
    p.set_defaults(name="quality", start="fast", steps=None, batch_size=48, shrink=(1.5,), lr=3e-4)
    p.add_argument(
        "--inner",
        type=float,
        default=0.0,
        help="rate of the fast inside, of the rate of the rest; 0 freezes it",
    )


OTHERS = {
    "interp": train_interp.main,
    "doom": train_world.doom,
    "vae": train_world.vae,
    "stream": train_world.stream,
    "splat": train_splat.main,
    "keypatches": train_impute.keypatches,
    "impute": train_impute.impute,
    "latent-mae": train_impute.latent_mae,
}  # than fast and quality


def dashed(argv: list[str]) -> list[str]:
    """Flags may be written with underscores, as the plans have them."""
    flags = (word.partition("=") for word in argv)
    return [
        name.replace("_", "-") + equals + value if name.startswith("--") else name + equals + value
        for name, equals, value in flags
    ]


def main(argv: list[str]) -> int:
    """Train; 0 when the run was saved."""
    args = vars(parser().parse_args(dashed(argv)))
    recipe = args.pop("recipe")
    if recipe in OTHERS:
        return OTHERS[recipe](args)
    from tween.engine import distributed
    from tween.recipes import interp

    make = {"fast": interp.fast, "quality": interp.quality}[recipe]
    resume, sharded = args.pop("resume"), args.pop("sharded")
    ranks = distributed.start()  # first: each process of torchrun places its model on a GPU of its own
    fit = args["steps"] is None
    if fit and (args["minutes"] is None or ranks.world > 1):
        raise TweenError(
            "training needs --steps, or of a single process --minutes instead; give one of them, such as --minutes 10"
        )
    run = make(**{name: value for name, value in args.items() if value is not None})
    return finish(replace(run, sharded=sharded), resume or True, fit=fit)


def finish(run: Any, resume: Path | bool = True, *, fit: bool = False) -> int:
    """Train `run` and say how it ended. With `fit` its schedule is as long as its minutes."""
    import torch

    from tween.engine import distributed
    from tween.engine.loop import train

    ranks = distributed.start()
    try:
        if fit:
            from tween.engine.sitting import fitted

            report = fitted(run, run.minutes, resume)
        else:
            report = train(run, resume=resume)
    except torch.OutOfMemoryError:
        raise TweenError(
            f"batches of {run.batch_size} should fit into the GPU's memory, but one did not; take smaller ones"
            f" (--dry-run of tween train interp says how large), or repeat the command on a larger GPU"
        ) from None
    if ranks.rank == 0:
        print(ended(report))
    distributed.stop()
    return 0


def ended(report: Any) -> str:
    """How a run ended, in a line."""
    state = "finished" if report.finished else "stopped; the same command goes on"
    facts = [f"{report.samples_per_s:.4g} samples/s"] if report.samples_per_s else []
    facts += ["nothing was left to do"] if not (facts or report.metrics) else []
    facts += [f"{name} {value:.4g}" for name, value in report.metrics.items()]
    facts += [f"best {report.best:.4g}"] if report.best is not None else []
    return f"{state} at step {report.step}, {', '.join(facts)}; {report.folder}"
