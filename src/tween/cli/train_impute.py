"""`tween train keypatches`: refiners of pictures by each objective, judged. `tween train impute`: one refiner, of
pictures or clips. `tween train latent-mae`: an encoder without classes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_keypatches(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train keypatches`."""
    p.add_argument(
        "--data", type=Path, required=True, help="cifar10.tar.xz or its folder, or a folder of classes"
    )
    p.add_argument("--out", type=Path, required=True, help="folder of results, pictures and weights")
    p.add_argument(
        "--minutes",
        type=float,
        nargs=3,
        default=(1.0, 0.7, 0.6),
        metavar=("ENCODER", "JUDGE", "REFINER"),
        help="the last is for the first refiner; the others take as many steps as it did",
    )
    p.add_argument("--steps", type=int, nargs=3, metavar=("ENCODER", "JUDGE", "REFINER"), help="instead")
    p.add_argument("--methods", nargs="+", default=("drift", "drift-clamp", "paired"))
    p.add_argument("--seeds", type=int, default=2, help="of each method")
    p.add_argument("--shares", type=float, nargs="+", default=(0.125, 0.25, 0.5), help="of patches given")
    p.add_argument("--fill", choices=("idw", "idw4", "laplacian"), default="idw")
    p.add_argument("--image-size", type=int, default=32, help="of a folder of classes")
    p.add_argument("--patch-size", type=int, default=4)
    p.add_argument("--width", type=int, default=384, help="of the refiner")
    p.add_argument("--layers", type=int, default=8, help="of the refiner")
    p.add_argument("--encoder-width", type=int, default=64)
    p.add_argument("--batch-size", type=int, default=512, help="of encoder and judge")
    _dealing(p)
    p.add_argument("--held", type=int, default=10_000, help="pictures to measure on")
    _machine(p)


def keypatches(args: dict[str, Any]) -> int:
    """The sitting."""
    from tween.core import TweenError
    from tween.models.impute.config import EncoderConfig, Trunk
    from tween.recipes.impute_pivot import METHODS, MORE, Plan, pivot

    unknown = [m for m in args["methods"] if m not in METHODS | MORE]
    if unknown:
        raise TweenError(f"there is no method {unknown[0]!r}; choose of {', '.join(METHODS | MORE)}")
    steps = args["steps"] or (None, None, None)
    same = ("seeds", "fill", "batch_size", "held", "precision", "device", "runs")
    width = args["width"]
    plan = Plan(
        **{name: args[name] for name in same},
        minutes=tuple(args["minutes"]),
        steps=tuple(steps),
        shares=tuple(args["shares"]),
        methods=tuple(args["methods"]),
        patch=args["patch_size"],
        encoder=EncoderConfig(width=args["encoder_width"]),
        trunk=Trunk(width=width, layers=args["layers"], heads=max(1, width // 64), ffn=8 * width // 3),
        dealing=dealing(args),
    )
    found = pivot(
        *(labelled(args["data"], args["image_size"], s) for s in ("train", "test")), plan, args["out"]
    )
    print((args["out"] / "keypatches.md").read_text(), found["facts"])
    return 0


def labelled(data: Path, side: int, split: str) -> Any:
    """Pictures with classes: CIFAR-10 where `data` is or holds its archive, else a folder a class."""
    from tween.data import labelled as sets

    archive = data.is_file() or (data / sets.ARCHIVE).is_file()
    return sets.cifar10(data, split) if archive else sets.folder(data, side, split)


def dealing(args: dict[str, Any]) -> Any:
    """How batches are dealt."""
    from tween.recipes.impute_feeds import Dealing

    return Dealing(
        classes=args["n_classes_step"],
        generated=args["n_gen_per_class"],
        positives=args["n_pos_per_class"],
        anything=args["drift_n_unc"],
        queue=args["queue_pos"],
        queue_all=args["queue_unc"],
        power=args["cfg_alpha_power"],
        most=args["cfg_alpha_max"],
        plain=args["cfg_alpha_one"],
    )


def _dealing(p: argparse.ArgumentParser) -> None:
    p.add_argument("--n-classes-step", type=int, default=10, help="classes in a batch")
    p.add_argument("--n-gen-per-class", type=int, default=32, help="samples of each to refine")
    p.add_argument("--n-pos-per-class", type=int, default=64, help="other real samples of each")
    p.add_argument("--drift-n-unc", type=int, default=32, help="real samples of any class, for guidance")
    p.add_argument("--queue-pos", type=int, default=512, help="samples that a class's queue holds")
    p.add_argument("--queue-unc", type=int, default=1000, help="samples that the common queue holds")
    p.add_argument("--cfg-alpha-power", type=float, default=3.0, help="alpha is drawn like alpha^-power")
    p.add_argument("--cfg-alpha-max", type=float, default=4.0, help="from 1 to this")
    p.add_argument("--cfg-alpha-one", type=float, default=0.5, help="and with this probability is 1")


def _machine(p: argparse.ArgumentParser) -> None:
    amp = p.add_mutually_exclusive_group()
    amp.add_argument("--amp-bf16", dest="precision", action="store_const", const="bf16", default="bf16")
    amp.add_argument("--no-amp", dest="precision", action="store_const", const="fp32")
    p.add_argument("--device", default="auto")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="full checkpoints and logs")
