"""What the flags of `tween train impute` and `tween train latent-mae` say of any run, of pictures or clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tween.engine import distributed, train
from tween.engine.run import Run
from tween.engine.sitting import fitted
from tween.models.impute.config import Taps, Trunk
from tween.models.impute.corrupt import Noise, of_mode
from tween.models.impute.encoder import Encoder
from tween.models.impute.task import Objective
from tween.recipes import impute

TOYS = ("shapes", "maze")
TOY = (160, 3e-3)
"""Steps and rate of the toys, where the flags say nothing."""
PAIRED = 100.0
"""Weight at which the gradient of the error is about as large as that of drifting."""

Flags = Mapping[str, Any]


def common(args: Flags, batch_size: int) -> dict[str, Any]:
    """What all runs have of the flags."""
    same = (
        "name",
        "device",
        "steps",
        "lr",
        "precision",
        "minutes",
        "log_interval",
        "save_interval",
        "seed",
        "runs",
    )
    accumulate = args["accumulate"]
    if args["effective_batch"]:
        accumulate = impute.accumulated(args["effective_batch"], batch_size, distributed.start().world)
    steps, lr = TOY if args["dataset"] in TOYS else (args["steps"], args["lr"])
    own = {"steps": args["steps"] or steps or 20_000, "lr": args["lr"] or lr or 4e-4}
    muon = args["optimizer"] == "muon"
    return {name: args[name] for name in same} | own | {"accumulate": accumulate, "muon": muon}


def sources(args: Flags) -> dict[str, str]:
    """What the report says of where data and encoder come from."""
    encoder = args["encoder"] or f"{args['name']}-encoder, trained before"
    place = "" if args["data_path"] is None else f" in {args['data_path']}"
    return {"data": f"{args['dataset']}{place}", "encoder": f"{encoder}; frozen"}


def before(
    make: Callable[..., Run], fields: dict[str, Any], steps: int, *, lr: float, minutes: float | None = None
) -> Encoder:
    """The encoder that `make` describes, trained for so many steps, or minutes instead; of 0 steps, its random
    beginning."""
    name = f"{fields['name']}-encoder"
    same = {key: fields[key] for key in ("device", "precision", "seed", "runs")}
    run = make(name=name, steps=max(1, steps), lr=lr, batch_size=256, **same)
    if not steps:
        return run.task.modules["encoder"]
    if minutes is None:
        train(run)
    elif not (run.folder / "last.safetensors").is_file():
        fitted(run, minutes, True)
    with distributed.first():  # that process has written it
        return impute.read_encoder(run.folder / "last.safetensors", fields["device"])


def wanted(args: Flags) -> Objective:
    """The objective that the flags ask for."""
    which, plain = args["objective"] or "drift", args["vanilla_loss_weight"]
    weight = PAIRED if args["paired_loss_weight"] is None else args["paired_loss_weight"]
    taps = Taps(
        patches=(2, 4) if args["feature_include_patch_stats"] else (),
        locations=bool(args["feature_locations"]),
        plain=plain > 0,
    )
    return Objective(
        drift=0.0 if which == "paired" else 1.0,
        paired=0.0 if which == "drift" else (1.0 if which == "paired" else weight),
        taps=taps,
        importance={"plain": plain} if plain else {},
        mixed=bool(args["drift_bf16"]),
        compiled=bool(args["compile_drift"]),
        diagnose=args["drift_stats"],
    )


def trunk(args: Flags, classes: int) -> Trunk:
    """The refiner's transformer."""
    width = args["width"]
    return Trunk(
        width=width,
        layers=args["layers"],
        heads=max(1, width // 64),
        ffn=8 * width // 3,
        classes=classes,
        style=args["style"],
        explicit=bool(args["explicit_keys"]),
        clamp=bool(args["keep_anchors_fixed"]),
        residual=args["predict"] == "residual",
    )


def noise(args: Flags) -> Noise:
    """Of the fill."""
    return of_mode(args["corrupt_mode"], args["corrupt_sigma"])
