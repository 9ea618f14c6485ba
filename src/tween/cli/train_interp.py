"""`tween train interp --phase N`: flags as the thesis plan names them, and what they mean to the recipe."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tween.cli import training_data
from tween.core import TweenError


def add(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train interp`; underscores serve as well."""
    p.add_argument("--phase", type=int, required=True, choices=(1, 2, 3))
    p.add_argument(
        "--exp-name", "--name", dest="name", help="runs/NAME holds checkpoints and logs; else phaseN"
    )
    p.add_argument(
        "--dry-run", action="store_true", help="one real step: parameters, gradients, memory, largest batch"
    )
    _data(
        p.add_argument_group(
            "data", "from disk: --data-path, --x4k-path; or clips held on the device: --data"
        )
    )
    _network(p.add_argument_group("network"))
    _losses(p.add_argument_group("losses", "weights by default the plan's, or the study's"))
    _training(p.add_argument_group("training", "by default what the plan says of the phase"))
    _machine(p.add_argument_group("machine"))


def _data(p: Any) -> None:
    p.add_argument("--data-path", type=Path, help="Vimeo90K, triplet or septuplet")
    p.add_argument("--x4k-path", type=Path, help="X4K1000FPS, for phase 3")
    p.add_argument("--data", type=Path, help="folder of clips, instead of the two; shots.csv has its cuts")
    p.add_argument(
        "--shards",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="shards that tween data shard wrote, instead of all these; phase 3: of the main and the large-motion set",
    )
    p.add_argument("--packed", type=Path, help="where decoded clips are kept; else DATA/packed")
    p.add_argument(
        "--photos", type=Path, help="with --data: folder of pictures whose pieces become synthetic layers"
    )
    p.add_argument(
        "--synthetic", type=float, default=0.0, help="with --data: share of layered motion, 0 to 1"
    )
    p.add_argument("--pixels", type=float, default=24.0, help="with --data: greatest mean motion of a triple")
    p.add_argument("--val", type=Path, help="folder of --val-set; else validated on Vimeo90K's own test list")
    p.add_argument(
        "--val-set", default="triplets", help="what --val is: triplets, snu-film-hard, xtest-4k, ..."
    )
    p.add_argument("--mixed-ratio", type=ratio, metavar="A:B", help="phase 3: Vimeo90K to X4K1000FPS; 2:1")
    p.add_argument("--curriculum", action="store_true", help="phase 3: X4K1000FPS in crops of 256, 384, 512")
    p.add_argument("--curriculum-T", type=int, metavar="T", help="epochs before the crops grow; 33")
    p.add_argument("--crop", type=int, help="side of the first crops; 256")
    p.add_argument(
        "--num-workers", type=int, default=8, help="processes that read, threads that decode clips"
    )


def _network(p: Any) -> None:
    p.add_argument("--ablation", metavar="NAME", help="network of one experiment, such as exp2b-image-warp")
    p.add_argument("--backbone-mode", choices=("hybrid", "mamba2_only", "gated_attn_only"))
    p.add_argument("--use-mhc", action="store_true", help="manifold-constrained hyper-connections")
    p.add_argument("--no-use-ecab", action="store_true", help="CAB instead of ECA as channel attention")
    p.add_argument("--ssd", choices=("fp32", "bf16"), default="fp32", help="of Mamba2's scan within bf16")
    p.add_argument("--stem-stride", type=int, choices=(1, 2, 4))
    p.add_argument("--resume", metavar="NAME", help="begin from runs/NAME (NAME_best: its best) or a file")


def _losses(p: Any) -> None:
    plan = {"lap": 1, "ter": 1, "vgg": 0.005, "flow-smooth": 0.1, "charbonnier": 0, "ssim": 0, "geometry": 0}
    for term, plans in plan.items():
        p.add_argument(f"--loss-{term}-weight", type=float, metavar="W", help=f"{plans:g}; 0 leaves it out")
    p.add_argument(
        "--distill", type=float, default=0.0, help="weight of exact or taught flow, where batches have it"
    )
    p.add_argument("--vgg", type=Path, help="torchvision's VGG-19 weights, for the perceptual term")


def _training(p: Any) -> None:
    p.add_argument("--epochs", type=int)
    p.add_argument(
        "--steps", type=int, help="of the whole run; warm-up, freezing and curriculum keep their shares"
    )
    p.add_argument("--batch-size", type=int, default=8)
    p.add_argument("--grad-accum", type=int, default=1, help="batches in one step")
    p.add_argument("--lr", type=float)
    p.add_argument("--weight-decay", type=float)
    p.add_argument("--warmup", type=int, help="steps")
    p.add_argument("--freeze-backbone", type=int, metavar="EPOCHS")
    p.add_argument("--ema", type=float, default=0.0, help="decay of the average of the weights; 0: none")
    p.add_argument("--eval-interval", type=int, default=1, metavar="EPOCHS")
    p.add_argument(
        "--patience", type=int, default=1, help="steps on end that may not be finite before it stops"
    )
    p.add_argument(
        "--from-study",
        nargs="?",
        const="",
        metavar="URL",
        help="the best of tween search; else sqlite:///optuna_phaseN.db",
    )
    p.add_argument("--study-name", help="with --from-study; else phaseN_hp_search")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--minutes", type=float, help="stop, saved, after this much time")


def _machine(p: Any) -> None:
    p.add_argument("--device", default="auto")
    p.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    p.add_argument("--sharded", action="store_true", help="under torchrun: FSDP2 instead of DDP")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    p.add_argument("--no-tensorboard", dest="tensorboard", action="store_false")


def ratio(text: str) -> tuple[int, int]:
    """`2:1` as numbers."""
    try:
        main, large = map(int, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected two whole numbers such as 2:1, but got {text!r}"
        ) from None
    return main, large


def main(args: dict[str, Any]) -> int:
    """Train a phase, or try one step of it."""
    run = build(args)
    if args["dry_run"]:
        return show(run)
    from tween.cli.train import finish

    return finish(replace(run, sharded=args["sharded"]))


def build(args: dict[str, Any]) -> Any:
    """The run that the flags ask for."""
    from tween.engine import distributed
    from tween.recipes.thesis import middle_psnr, thesis
    from tween.zoo.load import place

    distributed.start()
    args = args | {
        "compiled": args["compiled"] and not args["dry_run"] and place(args["device"]).type == "cuda"
    }
    taught(args)
    same = ("phase", "name", "device", "steps", "epochs", "batch_size", "grad_accum", "lr", "freeze_backbone")
    same += ("precision", "ema", "compiled", "eval_interval", "patience", "minutes", "seed")
    wanted = {name: args[name] for name in same} | {"config": network(args), "plan": plan(args)}
    found = wanted | searched(args)
    scenes = training_data.test_set(args["val_set"], args["val"])
    judge = None if scenes is None else partial(middle_psnr, scenes=scenes, dataset=args["val_set"])
    source = feed(args, found["plan"].ratio)
    run = thesis(
        **found | {"weights": weights(args, found.get("weights"))},
        batch=source if scenes is None else replace(source, scenes=scenes),
        validate=judge,
        vgg=None if args["loss_vgg_weight"] == 0 else vgg(args["vgg"], args["device"]),
        start=args["resume"],
        tensorboard=args["tensorboard"] and _has_tensorboard(),
    )
    warm(run)
    return run


def taught(args: dict[str, Any]) -> None:
    """That there is flow to learn from where it is to be learned from.

    Raises:
        TweenError: if no batch can bring any.
    """
    flow = args["shards"] or (args["data"] and args["synthetic"])
    if args["distill"] and not flow:
        raise TweenError(
            "--distill pulls to flow that batches bring, but these bring none; give --data with --synthetic, "
            "or --shards with flow"
        )


def weights(args: dict[str, Any], base: Any = None) -> Any:
    """Of the losses: `base` or the plan's with what the flags change in it.

    Raises:
        TweenError: if one is below 0.
    """
    from tween.losses import CompositeWeights
    from tween.models.interp.thesis_task import ThesisWeights
    from tween.recipes.ablate_rows import DOUBT

    names = [field.name for field in fields(CompositeWeights)]
    given = {name: args[f"loss_{name}_weight"] for name in names} | {"distill": args["distill"]}
    given = {name: weight for name, weight in given.items() if weight is not None}
    if wrong := [name for name, weight in given.items() if weight < 0]:
        raise TweenError(
            f"the weight of a loss should be 0 or more, but that of {wrong[0]} is {given[wrong[0]]}"
        )
    base, distill = base or ThesisWeights(), given.pop("distill")
    doubt = 0.0 if args["data"] else DOUBT  # flow of layers is exact, that of files is somebody's estimate
    return replace(base, composite=replace(base.composite, **given), distill=distill, doubt=doubt)


def warm(run: Any) -> None:
    """Say so where the learning rate hardly gets up: on a small set the plan's warm-up may outlast the run."""
    warmup = run.optim.warmup
    if 2 * warmup > run.steps:
        _say(f"warm-up takes {warmup} of {run.steps} steps: train for longer, or warm up for fewer")


def searched(args: dict[str, Any]) -> dict[str, Any]:
    """With --from-study, what a search found best; flags of the plan given beside it count more."""
    if args["from_study"] is None:
        return {}
    from tween.recipes.search import best, found_study

    study = found_study(args["phase"], url=args["from_study"], name=args["study_name"])
    same = {"stem_stride": args["stem_stride"] or study.user_attrs.get("setting", {}).get("stem_stride")}
    found = best(study, phase=args["phase"], base=network(args | same))
    _say(f"from {study.study_name}: {study.best_params}")
    return found | {"plan": plan(args, found["plan"])}


def network(args: dict[str, Any]) -> Any:
    """The network's config."""
    from tween.models.interp.config import THESIS, ablations, with_block

    config = THESIS
    if args["ablation"]:
        known = {name: c for name, c in ablations().items() if c.phase <= args["phase"]}
        if args["ablation"] not in known:
            raise TweenError(
                f"--ablation should be one of {', '.join(known)} in phase {args['phase']}, but is {args['ablation']}"
            )
        config = known[args["ablation"]]
    block: dict[str, Any] = {"ssd_fp32": args["ssd"] == "fp32"}
    if args["backbone_mode"]:
        block["backbone"] = args["backbone_mode"]
    if args["use_mhc"]:
        block["residual"] = "mhc"
    if args["no_use_ecab"]:
        block["channel_attention"] = "cab"
    config = with_block(config, **block)
    return replace(config, stem_stride=args["stem_stride"]) if args["stem_stride"] else config


def plan(args: dict[str, Any], base: Any = None) -> Any:
    """`base` or the phase's plan with what the flags change in it (the recipe's own arguments aside)."""
    from tween.recipes.plan import CURRICULUM, PLANS

    mixing = {"--mixed-ratio": args["mixed_ratio"], "--curriculum": args["curriculum"]}
    mixing["--curriculum-T"] = args["curriculum_T"]
    given = [flag for flag, value in mixing.items() if value]
    if args["phase"] != 3 and given:
        raise TweenError(
            f"{given[0]} is for phase 3, which mixes two sets; leave it out in phase {args['phase']}"
        )
    changes = {
        "ratio": args["mixed_ratio"],
        "grow": CURRICULUM if args["curriculum"] else None,
        "every": args["curriculum_T"],
        "crop": args["crop"],
        "warmup": args["warmup"],
        "weight_decay": args["weight_decay"],
    }
    return replace(
        base or PLANS[args["phase"]], **{name: value for name, value in changes.items() if value is not None}
    )


def feed(args: dict[str, Any], ratio: tuple[int, int]) -> Any:
    """Where batches come from; `ratio` says which of two sets on disk are opened."""
    from tween.recipes import feeds

    if [bool(args["data_path"] or args["x4k_path"]), bool(args["data"]), bool(args["shards"])].count(
        True
    ) != 1:
        raise TweenError(
            "training needs --data-path (Vimeo90K on disk), --data (a folder of clips) or --shards, one of them"
        )
    if args["shards"]:
        return feeds.from_shards(args["shards"], workers=args["num_workers"])
    if args["data"]:
        return feeds.clips(
            data=args["data"],
            packed=args["packed"] or args["data"] / "packed",
            photos=args["photos"],
            synthetic=args["synthetic"],
            pixels=args["pixels"],
            workers=args["num_workers"],
            compiled=args["compiled"],
        )
    return feeds.sets(
        data_path=args["data_path"],
        x4k_path=args["x4k_path"],
        ratio=ratio,
        workers=args["num_workers"],
    )


def vgg(path: Path | None, device: str) -> Any:
    """VGG-19 on the device; None, said, where its weights are not."""
    from tween.nn import published
    from tween.nn.vgg import FILE, vgg19
    from tween.zoo.load import place

    if path is None and not published.place(FILE).is_file():
        _say(
            f"without the VGG term: no {published.place(FILE)}; get it from {published.SERVER}{FILE}, or give --vgg"
        )
        return None
    return vgg19(path).to(place(device))


def _has_tensorboard() -> bool:
    if find_spec("tensorboard"):
        return True
    _say("without TensorBoard, which is not installed: pip install 'tween-video[train]'")
    return False


def _say(line: str) -> None:
    """Once, however many processes there are."""
    if os.environ.get("RANK", "0") == "0":
        print(line, flush=True)


def show(run: Any) -> int:
    """Take one step and print what it was like."""
    from tween.engine.dryrun import dry_run
    from tween.evaluate.cost import parameters

    net = run.task.modules["net"]
    counts = parameters(net)
    done = dry_run(run)
    norms = {name: "0 (frozen)" if norm == 0 else f"{norm:.3g}" for name, norm in done.gradients.items()}
    size = f"{done.largest}" if done.largest else "not known: memory cannot be measured here"
    how = "tried" if done.tried else "estimated from two sizes"
    lines = {
        "parameters": ", ".join(f"{k} {v:,}" for k, v in counts.items())
        + f"; {sum(counts.values()):,} in all",
        "schedule": ", ".join(f"{k} {v}" for k, v in run.about["schedule in steps"].items()),
        "loss": ", ".join(
            f"{k.removeprefix('loss_')} {v:.4g}" for k, v in done.values.items() if k != "skipped"
        ),
        "gradient": ", ".join(f"{k} {v}" for k, v in norms.items()),
        "time": f"{done.seconds:.2f} s a step of {run.batch_size} x {run.accumulate} samples",
        "peak memory": f"{done.peak / 2**30:.2f} of {done.memory / 2**30:.1f} GiB with batches of {run.batch_size}",
        "largest batch that fits": size + (f" ({how})" if done.largest else ""),
    }
    for name, line in lines.items():
        _say(f"{name:>24}: {line}")
    return 0
