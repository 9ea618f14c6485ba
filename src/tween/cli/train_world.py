"""`tween train doom`: a world from nothing, recorded into memory. `tween train vae` and `tween train stream`: its
autoencoder and its network from shards that `tween data record doom` wrote."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_doom(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train doom`."""
    p.add_argument("--out", type=Path, required=True, help="folder of weights, figures and the world")
    p.add_argument("--episodes", type=int, default=480, help="of a minute each, to learn from; 39 MB each")
    p.add_argument("--held", type=int, default=48, help="episodes to judge by")
    p.add_argument("--seconds", type=float, default=60.0, help="of an episode")
    p.add_argument("--processes", type=int, default=16, help="games played at a time")
    p.add_argument(
        "--minutes",
        type=float,
        nargs=3,
        default=(6.0, 8.0, 3.0),
        metavar=("VAE", "NET", "STUDENT"),
        help="0: not trained, its weights are those in OUT",
    )
    p.add_argument("--batches", type=int, nargs=3, default=(16, 64, 32), metavar=("VAE", "NET", "STUDENT"))
    p.add_argument(
        "--rates", type=float, nargs=3, default=(5e-4, 1e-3, 5e-5), metavar=("VAE", "NET", "STUDENT")
    )
    p.add_argument(
        "--learn", type=int, default=17, help="frames of a clip that the autoencoder learns at a time"
    )
    p.add_argument("--latents", type=int, default=21, help="of a clip that the network learns")
    p.add_argument("--window", type=int, default=6, help="latents that a block sees, its own among them")
    p.add_argument("--teach", choices=("teacher", "diffusion"), default="teacher", help="kind of forcing")
    p.add_argument("--shift", type=float, default=5.0, help="of the levels of noise, in training and use")
    p.add_argument("--stain", type=float, default=0.2, help="greatest noise on the clean blocks before")
    p.add_argument("--steps", type=int, default=4, help="of sampling, before distillation")
    p.add_argument("--device", default="auto")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="full checkpoints and logs")
    p.add_argument("--seed", type=int, default=0, help="of the recording")


def doom(args: dict[str, Any]) -> int:
    """The whole chain."""
    from dataclasses import replace

    from tween.data.record_doom import Doom
    from tween.models.stream.config import DOOM, Rule
    from tween.models.stream.sampling import Sampling, even
    from tween.models.stream.task import Forcing
    from tween.recipes.world import Plan
    from tween.recipes.world import doom as chain

    same = ("episodes", "held", "processes", "learn", "latents", "device", "compiled", "runs")
    chain(
        args["out"],
        Plan(
            **{name: args[name] for name in same},
            record=Doom(seconds=args["seconds"], seed=args["seed"]),
            minutes=tuple(args["minutes"]),
            batches=tuple(args["batches"]),
            rates=tuple(args["rates"]),
            net=replace(DOOM, rule=Rule(window=args["window"])),
            forcing=Forcing(teach=args["teach"], shift=args["shift"], stain=args["stain"]),
            many=even(args["steps"], shift=args["shift"]),
            few=Sampling(shift=args["shift"]),
        ),
    )
    return 0
