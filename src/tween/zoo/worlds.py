"""Worlds in one file each: network, autoencoder, how it is played and what it can begin with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tween.core import TweenError
from tween.infer.world import World
from tween.models.stream.actions import GTA_DRIVE, TEMPLERUN, UNIVERSAL, Actions, Mode, read
from tween.models.stream.config import StreamConfig
from tween.models.stream.filler import StreamFiller
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling, even
from tween.nn.vae import WanConfig, WanVAE
from tween.zoo.load import WEIGHTS, checked, place
from tween.zoo.registry import ZOO, Entry
from tween.zoo.shards import parts

FORMAT = "1"
MODES = {"universal": UNIVERSAL, "gta_drive": GTA_DRIVE, "templerun": TEMPLERUN}
Open = Callable[[str], World]


def worlds() -> Mapping[str, Open]:
    """The released worlds: name -> how to open it on a device."""
    return {name: partial(_released, entry) for name, entry in ZOO.items() if entry.kind == "world"}


def _released(entry: Entry, device: str = "auto") -> World:
    path = WEIGHTS / str(entry.file)
    checked(path, entry.sha256)
    return load_world(path, device)


def load_codec(name: str = "vae-small", device: str = "auto") -> WanVAE:
    """The released autoencoder called `name`, frozen, on `device`; in half precision on CUDA, in fp32 elsewhere.

    Raises:
        TweenError: if there is none, or its weights are not the released ones.
    """
    known = {key: entry for key, entry in ZOO.items() if entry.kind == "vae"}
    if name not in known:
        raise TweenError(f"there is no autoencoder {name!r}; choose one of {', '.join(known)}")
    path = WEIGHTS / str(known[name].file)
    checked(path, known[name].sha256)
    return load_world(path, device).filler.codec.requires_grad_(False)


def open_world(wanted: str | None, device: str = "auto", known: Mapping[str, Open] | None = None) -> World:
    """The world called `wanted`, or the one in that file; None: the first that is released.

    Raises:
        TweenError: if there is none.
    """
    known = worlds() if known is None else known
    name = wanted or next(iter(known))
    if name in known:
        return known[name](device)
    if Path(name).is_file():
        return load_world(Path(name), device)
    raise TweenError(
        f"there is no world {name!r}; choose {', '.join(known)}, or pass the file of one (.safetensors)"
    )


def in_steps(world: World, steps: int | None) -> World:
    """`world`, with blocks made in so many passes: fewer are quicker and softer. None: as it is.

    Raises:
        TweenError: if there are none or over 1000, or if it makes blocks in the steps that it was distilled to alone.
    """
    if steps is None:
        return world
    filler = world.filler
    if not isinstance(filler, StreamFiller) or filler.sampling.loop != "adams":
        raise TweenError(f"{world.name} makes its blocks in its own steps alone; leave --steps out")
    if not 1 <= steps <= 1000:
        raise TweenError(f"a block takes 1 to 1000 steps, but got --steps {steps}")
    own = filler.sampling
    sampling = even(steps, shift=own.shift, remember=own.remember)
    side = filler.multiple // filler.net.config.patch
    return replace(world, filler=StreamFiller(filler.net, filler.codec, sampling, side=side), steps=steps)


def save_world(
    path: str | Path,
    net: StreamNet,
    vae: WanVAE,
    sampling: Sampling,
    *,
    name: str,
    rate: Fraction,
    pictures: Sequence[Tensor],
) -> None:
    """Keep a world in one file, as it is in memory: halve it before if it is to be small.

    Args:
        rate: frames a second.
        pictures: at least one to begin with, `3 h w` in [0, 1], all of one size, which becomes the world's.
    """
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"vae.{k}": v for k, v in vae.state_dict().items()}
    tensors |= {f"picture.{i}": (x * 255).round().byte() for i, x in enumerate(pictures)}
    mode = next(key for key, mode in MODES.items() if mode == net.config.mode)
    about = {"name": name, "rate": str(rate), "mode": mode, "pictures": len(pictures)}
    about |= {"net": plain(net.config), "vae": plain(vae.config), "sampling": plain(sampling)}
    save_file(
        {k: v.contiguous() for k, v in tensors.items()},
        path,
        {"tween-world": FORMAT, "about": json.dumps(about)},
    )


def load_world(path: str | Path, device: str = "auto") -> World:
    """The world of a file, on `device` in half precision on CUDA, in fp32 elsewhere.

    Raises:
        TweenError: if it holds none, or one of another version.
    """
    where = place(device)
    dtype = torch.float16 if where.type == "cuda" else torch.float32
    try:
        about, tensors = _content(Path(path))
        mode = MODES[about["mode"]]
        net = StreamNet(revived(StreamConfig, about["net"] | {"mode": mode}))
        vae = WanVAE(revived(WanConfig, about["vae"]))
        sampling = revived(Sampling, about["sampling"])
        net.load_state_dict(below("net.", tensors))
        vae.load_state_dict(below("vae.", tensors))
        pictures = [tensors[f"picture.{i}"].float() / 255 for i in range(about["pictures"])]
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TweenError(
            f"expected a world, but {path} cannot be read as one ({reason}); pass the .safetensors of one"
        ) from None
    return World(
        name=about["name"],
        filler=StreamFiller(
            net.to(where, dtype), vae.to(where, dtype).eval(), sampling, side=vae.config.pixels
        ),
        mode=mode,
        actions=Actions,
        read=partial(read, mode=mode),
        rate=Fraction(about["rate"]),
        size=tuple(pictures[0].shape[-2:]),
        block=net.config.rule.block,
        pictures=pictures,
        device=where,
        dtype=dtype,
    )


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What the file, or its shards, says about the world, and its tensors."""
    tensors = {}
    for part in parts(path):
        with safe_open(part, "pt") as file:
            said = file.metadata() or {}
            if said.get("tween-world") != FORMAT:
                raise TweenError(
                    f"expected a world, but {path} holds something else; `tween models` lists what there is"
                )
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return json.loads(said["about"]), tensors


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one part, by their own names."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def plain(config: Any) -> dict[str, Any]:
    """A config as JSON holds it; its mode, which has a name, is left out."""
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {
        key: plain(value) if dataclasses.is_dataclass(value) else value
        for key, value in fields.items()
        if not isinstance(value, Mode)
    }


def revived(kind: type, fields: Mapping[str, Any]) -> Any:
    """The config that `plain` wrote down."""
    hints = get_type_hints(kind)

    def value(key: str, x: Any) -> Any:
        if dataclasses.is_dataclass(hints[key]) and isinstance(x, dict):
            return revived(hints[key], x)
        return tuple(x) if isinstance(x, list) else x

    return kind(**{key: value(key, x) for key, x in fields.items()})
