"""`tween train doom`: a world from nothing, recorded into memory. `tween train vae` and `tween train stream`: its
autoencoder and its network from shards that `tween data record doom` wrote."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # its own imports take seconds, which --help should not
    from tween.recipes.world import Plan


def add_doom(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train doom`."""
    p.add_argument("--out", type=Path, required=True, help="folder of weights, figures and the world")
    p.add_argument("--episodes", type=int, default=480, help="of a minute each, to learn from; 39 MB each")
    p.add_argument("--held", type=int, default=144, help="episodes to judge by")
    p.add_argument("--seconds", type=float, default=60.0, help="of an episode")
    p.add_argument(
        "--maps", nargs="+", default=(), metavar="MAP", help="of MAP01 to MAP32; by default any of them"
    )
    p.add_argument("--processes", type=int, default=16, help="games played at a time")
    p.add_argument(
        "--minutes",
        type=float,
        nargs=3,
        default=(1.0, 14.0, 4.0),
        metavar=("VAE", "NET", "STUDENT"),
        help="0: not trained, its weights are those in OUT",
    )
    p.add_argument("--batches", type=int, nargs=3, default=(16, 64, 64), metavar=("VAE", "NET", "STUDENT"))
    p.add_argument(
        "--rates", type=float, nargs=3, default=(5e-4, 1e-3, 2e-4), metavar=("VAE", "NET", "STUDENT")
    )
    p.add_argument(
        "--learn", type=int, default=17, help="frames of a clip that the autoencoder learns at a time"
    )
    p.add_argument("--channels", type=int, default=32, help="of a latent: more keep finer detail")
    p.add_argument(
        "--whiten",
        type=float,
        default=0.5,
        help="1: all components of a latent as large; 0: as in the picture",
    )
    p.add_argument("--latents", type=int, default=21, help="of a clip that the network learns")
    _rule(p)
    p.add_argument("--teach", choices=("teacher", "diffusion"), default="teacher", help="kind of forcing")
    p.add_argument("--shift", type=float, default=2.0, help="of the levels of noise, in training and use")
    p.add_argument("--stain", type=float, default=0.3, help="greatest noise on the clean blocks before")
    p.add_argument("--steps", type=int, default=10, help="of sampling, before distillation")
    p.add_argument("--steps-shift", type=float, metavar="SHIFT", help="of those steps; by default --shift")
    p.add_argument("--rollouts", type=int, default=200, help="of a second, judged in the end")
    p.add_argument("--walks", type=int, default=64, help="of a minute, judged in the end")
    p.add_argument("--device", default="auto")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="full checkpoints and logs")
    p.add_argument("--seed", type=int, default=0, help="of the recording")


def doom(args: dict[str, Any]) -> int:
    """The whole chain."""
    from tween.recipes.world import doom as chain

    chain(args["out"], planned(args))
    return 0


def planned(args: dict[str, Any]) -> Plan:
    """What the flags of `tween train doom` ask for."""
    from dataclasses import replace

    from tween.data.record_doom import Doom
    from tween.models.stream.config import DOOM, Rule
    from tween.models.stream.sampling import Sampling, even
    from tween.models.stream.task import Forcing
    from tween.nn.vae import SMALL
    from tween.recipes.world import Plan

    same = (
        "episodes",
        "held",
        "processes",
        "learn",
        "latents",
        "rollouts",
        "walks",
        "device",
        "compiled",
        "runs",
    )
    shift, remember = args["shift"], args["remember"]
    own = shift if args["steps_shift"] is None else args["steps_shift"]
    return Plan(
        **{name: args[name] for name in same},
        record=Doom(seconds=args["seconds"], seed=args["seed"], maps=tuple(args["maps"])),
        minutes=tuple(args["minutes"]),
        batches=tuple(args["batches"]),
        rates=tuple(args["rates"]),
        vae=replace(SMALL, latent=args["channels"], whiten=args["whiten"]),
        net=replace(DOOM, channels=args["channels"], rule=Rule(block=args["block"], window=args["window"])),
        forcing=Forcing(teach=args["teach"], shift=shift, stain=args["stain"]),
        many=even(args["steps"], shift=own, remember=remember),
        few=Sampling(shift=shift, remember=remember),
    )


def add_vae(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train vae`."""
    _shards(p, "vae-small", steps=20_000, batch_size=16, lr=5e-4)
    p.add_argument("--length", type=int, default=65, help="frames of a clip, 1 + 4m")
    p.add_argument("--learn", type=int, default=17, help="how many of them are learned at a time")


def vae(args: dict[str, Any]) -> int:
    """The autoencoder."""
    from tween.cli.train import finish
    from tween.data.episodes import read
    from tween.recipes.vae import clips, sample
    from tween.recipes.vae import vae as recipe

    length = args.pop("length")
    held = args.pop("val")
    batch = clips(
        read(args.pop("data")),
        length=length,
        batch_size=args["batch_size"],
        seed=args["seed"],
        device=args["device"],
    )
    clip = None if held is None else sample(read(held), length=2 * length - 1, device=args["device"])
    return finish(recipe(batch=batch, held=clip, **args))


def add_stream(p: argparse.ArgumentParser) -> None:
    """Flags of `tween train stream`."""
    _shards(p, "stream", steps=20_000, batch_size=64, lr=1e-3)
    p.add_argument(
        "--vae", type=Path, required=True, help="a checkpoint of tween train vae, or the file of a world"
    )
    p.add_argument(
        "--distill",
        type=Path,
        metavar="TEACHER",
        help="a checkpoint of this recipe: a student of few steps of it",
    )
    p.add_argument("--latents", type=int, default=21, help="of a clip")
    p.add_argument("--stride", type=int, default=20, help="frames between the beginnings of clips")
    _rule(p)
    p.add_argument("--teach", choices=("teacher", "diffusion"), default="teacher", help="kind of forcing")
    p.add_argument("--shift", type=float, default=2.0, help="of the levels of noise, in training and use")
    p.add_argument("--stain", type=float, default=0.3, help="greatest noise on the clean blocks before")
    p.add_argument("--no-compile", dest="compiled", action="store_false")
    p.add_argument(
        "--world", type=Path, metavar="FILE", help="in the end, all in one file for tween play --world FILE"
    )


def stream(args: dict[str, Any]) -> int:
    """The network, or with --distill its student."""
    from dataclasses import replace

    from tween.cli.train import finish
    from tween.data.episodes import read
    from tween.models.stream.config import DOOM, Rule
    from tween.models.stream.distill import Matching
    from tween.models.stream.sampling import Sampling, even
    from tween.models.stream.task import Forcing
    from tween.recipes import stream as recipes
    from tween.recipes import world_parts as parts
    from tween.recipes.world import finished
    from tween.zoo.load import place

    data, teacher, world, shift = read(args["data"]), args["distill"], args["world"], args["shift"]
    how = {"shift": shift, "remember": args["remember"]}
    sampling = Sampling(**how) if teacher else even(10, **how)
    codec = parts.frozen(parts.codec(args["vae"], args["device"]))
    fed = recipes.fed(
        codec,
        data,
        args["val"] and read(args["val"]),
        latents=args["latents"],
        stride=args["stride"],
        batch_size=args["batch_size"],
        sampling=sampling,
        device=args["device"],
        seed=args["seed"],
    )
    same = ("name", "device", "steps", "batch_size", "lr", "precision", "minutes", "eval_interval", "seed")
    common = {name: args[name] for name in same} | fed
    if teacher:
        net = parts.network(teacher, args["device"])
        run = recipes.distil(teacher=net, matching=Matching(sampling=sampling, shift=shift), **common)
    else:
        run = recipes.stream(
            config=replace(
                DOOM, channels=codec.config.latent, rule=Rule(block=args["block"], window=args["window"])
            ),
            forcing=Forcing(teach=args["teach"], shift=shift, stain=args["stain"]),
            compiled=args["compiled"] and place(args["device"]).type == "cuda",
            **common,
        )
    code = finish(run)
    if world:
        finished(world, run, codec, sampling, data)
    return code


def _rule(p: argparse.ArgumentParser) -> None:
    p.add_argument("--block", type=int, default=1, help="latents made together, each of four frames")
    p.add_argument("--window", type=int, default=6, help="latents that a block sees, its own among them")
    p.add_argument(
        "--remember", type=float, default=0.1, help="noise on what is remembered of a block, in use"
    )


def _shards(p: argparse.ArgumentParser, name: str, *, steps: int, batch_size: int, lr: float) -> None:
    p.add_argument(
        "--data",
        type=Path,
        required=True,
        help="shards of tween data record doom; kept, decoded, on the device",
    )
    p.add_argument("--val", type=Path, help="other such shards, to judge by: the best weights are kept")
    p.add_argument("--name", default=name, help="runs/NAME holds checkpoints and logs")
    p.add_argument("--device", default="auto")
    p.add_argument("--steps", type=int, default=steps, help="of the whole schedule, over all resumed runs")
    p.add_argument("--batch-size", type=int, default=batch_size)
    p.add_argument("--lr", type=float, default=lr)
    p.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    p.add_argument("--minutes", type=float, help="stop, saved, after this much time")
    p.add_argument("--eval-interval", type=int, default=1000, metavar="STEPS")
    p.add_argument("--seed", type=int, default=0)
