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
        help="the last is for a refiner by the first method; all take as many steps",
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
    p.add_argument(
        "--taps", choices=("paper", "seed"), default="paper", help="features that drift: all, or 9 to 125"
    )
    p.add_argument("--lr", type=float, default=8e-4, help="of the refiners")
    p.add_argument("--reuse", action="store_true", help="encoder and judge in --runs stay as they are")
    _machine(p)


def keypatches(args: dict[str, Any]) -> int:
    """The sitting."""
    from tween.core import TweenError
    from tween.models.impute.config import EncoderConfig, Trunk
    from tween.recipes.impute_pivot import METHODS, MORE, TAPS, Plan, pivot

    unknown = [m for m in args["methods"] if m not in METHODS | MORE]
    if unknown:
        raise TweenError(f"there is no method {unknown[0]!r}; choose of {', '.join(METHODS | MORE)}")
    steps = args["steps"] or (None, None, None)
    same = ("seeds", "fill", "batch_size", "held", "lr", "reuse", "precision", "device", "runs")
    width = args["width"]
    plan = Plan(
        **{name: args[name] for name in same},
        minutes=tuple(args["minutes"]),
        steps=tuple(steps),
        shares=tuple(args["shares"]),
        methods=tuple(args["methods"]),
        taps=TAPS[args["taps"]],
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


def add_impute(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train impute`."""
    _data(p)
    p.add_argument("--name", default="impute", help="runs/NAME holds checkpoints and logs")
    p.add_argument(
        "--encoder", type=Path, metavar="CHECKPOINT", help="of NAME-encoder or latent-mae; else trained first"
    )
    p.add_argument("--encoder-steps", type=int, help="0: random features; 4000, but 0 for fake")
    p.add_argument("--encoder-minutes", type=float, help="of gaps: instead of steps")
    p.add_argument("--packed", type=Path, help="of gaps: where decoded clips are kept")
    p.add_argument(
        "--hold-out", type=int, default=8, help="of gaps: every so many'th shot is not learned from"
    )
    p.add_argument("--workers", type=int, default=8, help="of gaps: threads that decode and cut")
    p.add_argument(
        "--feature-space", choices=("resnet", "latent_mae"), default="resnet", help="of latent input"
    )
    p.add_argument("--feature-include-patch-stats", type=int, choices=(0, 1), default=1)
    p.add_argument(
        "--feature-locations", type=int, choices=(0, 1), default=0, help="every place by itself, too"
    )
    _objective(p)
    p.add_argument("--keep-anchors-fixed", type=int, choices=(0, 1), default=0)
    p.add_argument("--predict", choices=("residual", "clean"), default="residual")
    p.add_argument(
        "--explicit-keys", type=int, choices=(0, 1), default=0, help="blocks also look at what was given"
    )
    p.add_argument(
        "--style", type=int, default=0, help="values of noise that tell equally good answers apart"
    )
    p.add_argument("--shares", type=float, nargs="+", default=(0.125, 0.25, 0.5), help="of patches given")
    p.add_argument(
        "--quantiser", choices=("k-means", "vq"), default="k-means", help="of clips: what makes their classes"
    )
    p.add_argument("--gaps", type=int, nargs="+", help="of clips: frames from keyframe to keyframe; 4 8 16")
    p.add_argument("--patch-size", type=int, help="4; of clips 8, of latents 2")
    p.add_argument("--width", type=int, default=384, help="of the refiner")
    p.add_argument("--layers", type=int, default=8, help="of the refiner")
    p.add_argument("--compile-drift", type=int, choices=(0, 1), default=0)
    p.add_argument("--drift-bf16", type=int, choices=(0, 1), default=0, help="mix samples in bf16")
    p.add_argument(
        "--drift-stats", type=int, default=500, metavar="STEPS", help="between statistics; 0: none"
    )
    _dealing(p)
    _training(p)
    _machine(p)


def _objective(p: argparse.ArgumentParser) -> None:
    """What is undone, and how the answer is judged."""
    p.add_argument("--vanilla-loss-weight", type=float, default=0.0, help="of drifting without features")
    p.add_argument("--objective", choices=("drift", "paired", "both"), help="drift; both for toys")
    p.add_argument("--paired-loss-weight", type=float, help="of the error of what was missing")
    p.add_argument(
        "--interp-mode", help="idw, idw4, laplacian; of clips nearest, linear, slerp, idw, sinkhorn, fast"
    )
    p.add_argument(
        "--corrupt-mode", choices=("none", "dist", "gauss"), default="none", help="noise on what is missing"
    )
    p.add_argument("--corrupt-sigma", type=float, default=0.1)
    p.add_argument(
        "--replace-keyframes",
        type=float,
        default=0.0,
        metavar="P",
        help="of clips: probability of a worn keyframe, which may be changed",
    )


def add_latent_mae(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train latent-mae`."""
    _data(p)
    p.add_argument("--name", default="latent-mae", help="runs/NAME holds checkpoints and logs")
    p.add_argument("--batch-size", type=int, default=256, help="per GPU")
    _training(p, lr=4e-3)
    _machine(p)


def impute(args: dict[str, Any]) -> int:
    """A refiner."""
    from tween.cli.train import finish
    from tween.recipes import impute_chain

    run = impute_chain.refiner(args, dealing(args))
    fit = args["dataset"] == "gaps" and args["steps"] is None and args["minutes"] is not None
    return finish(run, args["resume"] or True, fit=fit)


def latent_mae(args: dict[str, Any]) -> int:
    """An encoder without classes."""
    from tween.cli.train import finish
    from tween.recipes import impute_chain

    return finish(impute_chain.latent_mae(args), args["resume"] or True)


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
        values=tuple(args["cfg_alpha_values"]),
        shares=tuple(args["cfg_alpha_probs"]),
    )


def _data(p: argparse.ArgumentParser) -> None:
    kinds = ("cifar10", "folder", "fake", "shapes", "maze", "clips", "doom", "gaps", "wansynth")
    p.add_argument(
        "--dataset",
        choices=kinds,
        default="cifar10",
        help="the last six are clips; doom: episodes of `tween data record doom`; gaps: as released",
    )
    p.add_argument(
        "--data-path",
        type=Path,
        help="of cifar10, a folder of classes, shots.csv, shards of episodes or of latents",
    )
    p.add_argument("--image-size", type=int, help="side in pixels; 64, of cifar10 32")
    p.add_argument("--frames", type=int, default=17, help="of a clip")
    p.add_argument("--cuts", type=int, default=4000, help="of gaps and doom: clips to learn from")
    p.add_argument("--input-space", choices=("pixels", "latent"), default="pixels")
    p.add_argument(
        "--vae",
        type=Path,
        help="folder of diffusers' AutoencoderKL; without, a tiny random one; of clips a checkpoint of train vae, "
        "vae-small, or wan if imported",
    )
    p.add_argument("--encoder-width", type=int, default=64)
    p.add_argument(
        "--codes",
        type=int,
        nargs="+",
        help="classes of clips, the first that are filled; 1024 512, of gaps 64 32",
    )


def _training(p: argparse.ArgumentParser, *, lr: float | None = None) -> None:
    p.add_argument(
        "--steps", type=int, help="of the whole schedule, over all resumed runs; 20000, of toys 160"
    )
    p.add_argument("--lr", type=float, default=lr, help="4e-4, of toys 3e-3, of latent-mae 4e-3")
    p.add_argument(
        "--optimizer", choices=("adamw", "muon"), default="adamw", help="muon: for matrices within"
    )
    p.add_argument("--grad-accum", dest="accumulate", type=int, default=1, help="batches in one step")
    p.add_argument("--effective-batch", type=int, help="instead: samples in one step, over all GPUs")
    p.add_argument("--minutes", type=float, help="stop, saved, after this much time")
    p.add_argument("--log-interval", type=int, default=50, metavar="STEPS")
    p.add_argument("--save-interval", type=int, default=1000, metavar="STEPS")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--resume", type=Path, help="go on from this checkpoint instead of the run's own last one")


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
    p.add_argument("--cfg-alpha-values", type=float, nargs="+", default=(), help="instead: one of these")
    p.add_argument("--cfg-alpha-probs", type=float, nargs="+", default=(), help="with these probabilities")


def _machine(p: argparse.ArgumentParser) -> None:
    amp = p.add_mutually_exclusive_group()
    amp.add_argument("--amp-bf16", dest="precision", action="store_const", const="bf16", default="bf16")
    amp.add_argument("--no-amp", dest="precision", action="store_const", const="fp32")
    p.add_argument("--device", default="auto")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="full checkpoints and logs")
