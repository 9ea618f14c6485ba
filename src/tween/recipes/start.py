"""A phase begins from the weights of an earlier one: what fits is carried over, and all else is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.engine import checkpoint


class Source(NamedTuple):
    """A checkpoint, and the parts of its network that are taken over; none named: all."""

    path: Path
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.path}{':' * bool(self.parts)}{','.join(self.parts)}"


def source(text: str) -> Source:
    """`FILE`, or `FILE:PART,PART` for these parts alone, such as `flow.safetensors:flow,context`."""
    path, named, parts = text.rpartition(".safetensors:")
    return Source(Path(f"{path}.safetensors"), tuple(parts.split(","))) if named else Source(Path(text))


class Carried(NamedTuple):
    """Names of tensors: taken over, only in the new network (or of another shape there), only in the old ones."""

    sources: tuple[Source, ...]
    loaded: list[str]
    new: list[str]
    left: list[str]

    def __str__(self) -> str:
        named = ("loaded", self.loaded), ("new", self.new), ("left over", self.left)
        of = " and ".join(map(str, self.sources))
        return f"weights of {of}: {', '.join(f'{len(n)} {what}{_parts(n)}' for what, n in named)}"


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
            f"{name} should name a run, NAME_best or a file, but {places[-1]} is not there; "
            f"{runs} holds {', '.join(known) or 'no run'}"
        )
    return there[0]


@torch.no_grad()
def carry(net: nn.Module, *sources: Source) -> Carried:
    """Copy into `net` whatever the checkpoints have of the same name and shape; of two the later one counts.

    Raises:
        TweenError: if that is nothing, or one has no part that was named.
    """
    found: dict[str, Tensor] = {}
    for one in sources:
        found |= _taken(one)
    own = net.state_dict()
    loaded = [name for name, value in own.items() if name in found and found[name].shape == value.shape]
    for name in loaded:
        own[name].copy_(found[name])
    if not loaded:
        raise TweenError(
            f"{' and '.join(str(s.path) for s in sources)} holds nothing that fits this network; start from a run of "
            f"the same width"
        )
    taken = set(loaded)
    return Carried(
        sources,
        loaded,
        [name for name in own if name not in taken],
        [name for name in found if name not in taken],
    )


def _taken(source: Source) -> dict[str, Tensor]:
    every = checkpoint.part(checkpoint.weights(source.path), "net.")
    there = {name.partition(".")[0] for name in every}
    if lacking := [part for part in source.parts if part not in there]:
        raise TweenError(
            f"{source.path} should have a part {lacking[0]!r}, but has {', '.join(sorted(there))}; name those"
        )
    return {
        name: v for name, v in every.items() if not source.parts or name.partition(".")[0] in source.parts
    }
