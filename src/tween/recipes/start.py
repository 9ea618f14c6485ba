"""A phase begins from the weights of an earlier one: what fits is carried over, and all else is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from tween.core import TweenError
from tween.engine import checkpoint


class Carried(NamedTuple):
    """Names of tensors: taken over, only in the new network (or of another shape there), only in the old one."""

    path: Path
    loaded: list[str]
    new: list[str]
    left: list[str]

    def __str__(self) -> str:
        named = ("loaded", self.loaded), ("new", self.new), ("left over", self.left)
        return f"weights of {self.path}: {', '.join(f'{len(n)} {what}{_parts(n)}' for what, n in named)}"


def _parts(names: Iterable[str]) -> str:
    """` (backbone.levels 120, refine.up2 3)`: how many in each part of the network."""
    counts = Counter(".".join(name.split(".")[:2]) for name in names)
    return f" ({', '.join(f'{part} {count}' for part, count in counts.items())})" if counts else ""


def find(start: str | Path, runs: Path) -> Path:
    """The checkpoint that `start` names: a file, a run's NAME (its last weights) or NAME_best.

    Raises:
        TweenError: if there is none.
    """
    if Path(start).suffix == ".safetensors":
        return Path(start)
    name = str(start)
    places = [runs / name / "last.safetensors"]
    if name.endswith("_best"):
        places.append(runs / name.removesuffix("_best") / "best.safetensors")
    there = [path for path in places if path.exists()]
    if not there:
        known = sorted(path.parent.name for path in runs.glob("*/last.safetensors"))
        raise TweenError(
            f"--resume {name} should name a run, NAME_best or a file, but {places[-1]} is not there; "
            f"{runs} holds {', '.join(known) or 'no run'}"
        )
    return there[0]


@torch.no_grad()
def carry(net: nn.Module, path: Path) -> Carried:
    """Copy into `net` whatever the checkpoint at `path` has of the same name and shape.

    Raises:
        TweenError: if that is nothing.
    """
    found = checkpoint.part(checkpoint.weights(path), "net.")
    own = net.state_dict()
    loaded = [name for name, value in own.items() if name in found and found[name].shape == value.shape]
    for name in loaded:
        own[name].copy_(found[name])
    if not loaded:
        raise TweenError(f"{path} holds nothing that fits this network; start from a run of the same width")
    taken = set(loaded)
    return Carried(
        path,
        loaded,
        [name for name in own if name not in taken],
        [name for name in found if name not in taken],
    )
