"""A diary: how a session began and what was pressed in each block, a line of JSON each; enough to live it again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tween.core import TweenError
from tween.infer.world import Actions, World
from tween.video.still import picture, png

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a session began.

    Attributes:
        image: `3 h w` in steps of 1/255, so that a diary holds it exactly.
        seed: of what is drawn by chance.
        steps: passes that a block took; None: the world's own.
    """

    image: Tensor
    seed: int
    steps: int | None = None


class Entry(NamedTuple):
    """A block: which frames it shows, the names of the keys held in it, and the mouse (vertical, horizontal)."""

    frames: range
    keys: tuple[str, ...]
    mouse: tuple[float, float]


def entry(world: World, frames: range, actions: Actions) -> Entry:
    """What is written down of a block in which the first of `actions` is held."""
    held = actions.keys[0, 0].tolist()
    keys = tuple(name for name, down in zip(world.mode.keys, held, strict=True) if down)
    return Entry(frames, keys, tuple(actions.mouse[0, 0].tolist()))


def written(world: World, opening: Opening, entries: Iterable[Entry], first: int = 0) -> Iterator[str]:
    """The lines of a diary.

    Args:
        first: the frame from which a replay is shown; the blocks before lead there.
    """
    head = {
        "tween": FORMAT,
        "world": world.name,
        "seed": opening.seed,
        "size": list(world.size),
        "first": first,
    }
    head |= {"rate": str(world.rate), "image": base64.b64encode(png(opening.image)).decode()}
    head |= {} if world.steps is None else {"steps": world.steps}
    yield json.dumps(head) + "\n"
    for block, (frames, keys, mouse) in enumerate(entries):
        line = {"block": block, "frames": [frames.start, frames.stop], "keys": keys, "mouse": mouse}
        yield json.dumps(line) + "\n"


def read_diary(text: str, path: str | Path, world: World) -> tuple[Opening, tuple[Tensor, Tensor], int]:
    """How it began; keys `1 n k` and mouse `1 n 2` of its n blocks; and the frame from which it is shown.

    Raises:
        TweenError: if it is no diary, or one of a world with other keys or another size.
    """
    try:
        head, *lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        version, size, first, seed = head["tween"], tuple(head["size"]), int(head["first"]), int(head["seed"])
        image, steps = base64.b64decode(head["image"]), int(head["steps"]) if "steps" in head else None
        keys, mouse = _pressed(lines, world.mode.keys)
    except (ValueError, KeyError, TypeError) as error:
        raise TweenError(
            f"expected a diary of tween play for {world.name}, but {path} is none ({type(error).__name__}: {error})"
        ) from None
    if version != FORMAT or size != tuple(world.size) or not lines:
        raise TweenError(
            f"expected a diary, version {FORMAT}, of frames of {world.size[1]}x{world.size[0]}, but {path} is version "
            f"{version}, {'x'.join(str(side) for side in reversed(size))}, with {len(lines)} blocks"
        )
    return Opening(image=picture(image, world.size), seed=seed, steps=steps), (keys, mouse), first


def _pressed(lines: Sequence[dict[str, Any]], names: Sequence[str]) -> tuple[Tensor, Tensor]:
    keys, mouse = torch.zeros(1, len(lines), len(names)), torch.zeros(1, len(lines), 2)
    for i, line in enumerate(lines):
        for name in line["keys"]:
            keys[0, i, list(names).index(name)] = 1
        mouse[0, i] = torch.tensor(line["mouse"])
    return keys, mouse
