"""`tween train splat`: flags as the plan names them; underscores serve as well."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tween.core import TweenError

STEPS, N_FRAMES = (7, 15, 31), (4, 3, 2)
QUICK = 200  # triplets of Vimeo-90K after an epoch; the full benchmark takes all


def add(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train splat`."""
    p.add_argument(
        "--exp-name", "--name", dest="name", default="splat", help="runs/NAME holds checkpoints and logs"
    )
    _data(
        p.add_argument_group(
            "data", "from disk: --vimeo-root, --x4k-root; or clips held on the device: --data"
        )
    )
    _training(p.add_argument_group("training"))
    _machine(p.add_argument_group("machine"))


def _data(p: Any) -> None:
    p.add_argument(
        "--mode", choices=("vimeo_only", "x4k_only", "mixed", "curriculum"), default="vimeo_only",
        help="curriculum is mixed, with --use-curriculum",
    )  # fmt: skip
    p.add_argument("--vimeo-root", type=Path, help="Vimeo-90K triplets")
    p.add_argument("--x4k-root", type=Path, help="X4K1000FPS")
    p.add_argument(
        "--x4k-steps", type=int, nargs="+", metavar="S", help="frames between two known ones; 7 15 31"
    )
    p.add_argument(
        "--x4k-n-frames", type=int, nargs="+", metavar="N", help="known frames, a number a step; 4 3 2"
    )
    curriculum = p.add_mutually_exclusive_group()
    curriculum.add_argument(
        "--use-curriculum", dest="growing", action="store_true", default=True,
        help="one kind of window after the other, then all",
    )  # fmt: skip
    curriculum.add_argument("--no-curriculum", dest="growing", action="store_false")
    p.add_argument("--data", type=Path, help="folder with shots.csv and clips, instead of the two")
    p.add_argument("--packed", type=Path, help="where decoded clips are kept; else DATA/packed")
    p.add_argument("--photos", type=Path, help="with --data: folder of .jpg whose pieces become layers")
    p.add_argument(
        "--n-frames", type=int, nargs="+", default=(2, 3, 4), metavar="N", help="with --data: 2 3 4"
    )
    p.add_argument(
        "--synthetic", type=float, default=0.4, help="with --data: share of layers that move on curves"
    )
    p.add_argument("--pixels", type=float, default=24.0, help="with --data: greatest mean motion in a gap")
    p.add_argument(
        "--hold-out", type=int, default=0, metavar="K", help="with --data: every K-th shot is not trained on"
    )
    p.add_argument(
        "--val", type=Path, help="folder of triplets to validate on; else Vimeo-90K's own test list"
    )
    p.add_argument(
        "--crop", type=int, nargs="+", default=(256, 256), metavar="PX", help="H W, or one side; 256"
    )
    p.add_argument(
        "--num-workers", type=int, default=8, help="processes that read, threads that decode clips"
    )


def _training(p: Any) -> None:
    p.add_argument("--batch-size", type=int, default=8, help="per GPU")
    p.add_argument("--epochs", type=int, default=20)
    p.add_argument("--steps", type=int, help="of the whole run, which --epochs then divides")
    p.add_argument("--grad-accum", dest="accumulate", type=int, default=1, help="batches in one step")
    p.add_argument("--lr", type=float, default=2e-4)
    amp = p.add_mutually_exclusive_group()
    amp.add_argument("--use-amp", dest="precision", action="store_const", const="bf16", default="bf16")
    amp.add_argument("--no-amp", dest="precision", action="store_const", const="fp32")
    p.add_argument("--warmup-epochs", type=int, default=5, help="with fixed weights of the losses")
    p.add_argument("--fixed-weights", action="store_true", help="never learn the weights of the losses")
    p.add_argument("--flow-share", type=float, default=0.3, help="share of the run with supervised flow")
    p.add_argument(
        "--flow-teacher", choices=("exact", "dis"), default="exact", help="dis also tells of real clips"
    )
    p.add_argument("--eval-full-every", type=int, default=5, metavar="EPOCHS", help="the full benchmark")
    p.add_argument("--ema", type=float, default=0.0, help="decay of the average of the weights; 0: none")
    p.add_argument("--start", help="released weights whose features to begin from, such as fast")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--minutes", type=float, help="stop, saved, after this much time")


def _machine(p: Any) -> None:
    p.add_argument("--device", default="auto")
    p.add_argument("--sharded", action="store_true", help="under torchrun: FSDP2 instead of DDP")
    p.add_argument("--resume", type=Path, help="go on from this checkpoint instead of the run's own last one")


def main(args: dict[str, Any]) -> int:
    """Train; 0 when the run was saved."""
    from tween.cli.train import finish

    run = build(args)
    return finish(replace(run, sharded=args["sharded"]), args["resume"] or True)


def build(args: dict[str, Any]) -> Any:
    """The run that the flags ask for."""
    from tween.engine import distributed
    from tween.models.splat.task import Weights
    from tween.recipes.splat import splat

    distributed.start()  # first: each process of torchrun places its model on a GPU of its own
    same = (
        "name",
        "device",
        "steps",
        "epochs",
        "batch_size",
        "accumulate",
        "lr",
        "precision",
        "warmup_epochs",
    )
    same += ("flow_share", "eval_full_every", "ema", "seed", "minutes", "start")
    crop = tuple(args["crop"]) * (2 if len(args["crop"]) == 1 else 1)
    if len(crop) != 2:
        raise TweenError(f"--crop should be one side or H W, but got {len(crop)} numbers")
    found = feed(args)
    return splat(
        **{name: args[name] for name in same},
        feed=found,
        crop=crop,
        weights=Weights(warmup=None) if args["fixed_weights"] else None,
        val=validation(args),
        full=benchmark(args, found),
    )


def feed(args: dict[str, Any]) -> Any:
    """Where batches come from."""
    from tween.data.windows import pairings
    from tween.recipes import splat_feeds

    steps, n_frames = args["x4k_steps"], args["x4k_n_frames"]
    if (steps is None) != (n_frames is None):
        raise TweenError("--x4k-steps and --x4k-n-frames go in pairs; give both, or neither")
    pairs = pairings(steps or STEPS, n_frames or N_FRAMES)
    if args["data"]:
        if args["vimeo_root"] or args["x4k_root"]:
            raise TweenError("training takes --data, or --vimeo-root and --x4k-root, not both; leave one out")
        found = splat_feeds.clips(
            data=args["data"],
            packed=args["packed"] or args["data"] / "packed",
            photos=args["photos"],
            n_frames=args["n_frames"],
            synthetic=args["synthetic"],
            pixels=args["pixels"],
            hold_out=args["hold_out"],
            growing=args["mode"] == "curriculum",
            workers=args["num_workers"],
        )
    else:
        roots = {"vimeo_root": args["vimeo_root"], "x4k_root": args["x4k_root"]}
        found = splat_feeds.disk(
            args["mode"], **roots, pairs=pairs, growing=args["growing"], workers=args["num_workers"]
        )
    return splat_feeds.taught(found) if args["flow_teacher"] == "dis" else found


def validation(args: dict[str, Any]) -> Any:
    """Triplets to look at after every epoch: those of --val, else some of Vimeo-90K's test list."""
    if args["val"]:
        from tween.data.triplets import read

        return read(args["val"])
    if has_triplets(args["vimeo_root"]):
        from tween.data.vimeo import read

        scenes = read(args["vimeo_root"])
        return scenes[:: max(1, len(scenes) // QUICK)]
    return ()


def benchmark(args: dict[str, Any], found: Any) -> Any:
    """The full benchmark of what there is: Vimeo-90K and X-TEST, or windows of held-out clips."""
    from tween.evaluate import splat

    if found.held:
        return splat.on_windows(found.held)
    vimeo = args["vimeo_root"] if has_triplets(args["vimeo_root"]) else None
    x4k = args["x4k_root"] if has_test(args["x4k_root"]) else None
    return splat.on_disk(vimeo, x4k) if vimeo or x4k else None


def has_triplets(root: Path | None) -> bool:
    """Whether Vimeo-90K is there, and not as septuplets alone."""
    from tween.recipes.feeds import vimeo_kind

    return root is not None and vimeo_kind(root) == "vimeo"


def has_test(root: Path | None) -> bool:
    """Whether X-TEST is there beside X-TRAIN."""
    return root is not None and any((root / name).is_dir() for name in ("test", "encoded_test"))
