"""What is pressed in a run, known beforehand: letters a block, numbers a frame, the built-in sequence, or a diary."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tween.core import TweenError
from tween.infer.diary import Opening, read_diary
from tween.infer.world import Actions, World

MOUSE = ("vertical", "horizontal")


@dataclass(frozen=True, kw_only=True)
class Script:
    """Actions in order.

    Attributes:
        keys, mouse: `1 n k` and `1 n 2`.
        a_frame: one for each frame; else one for each block.
        opening: the picture and seed they were played with; None where they are for any.
        first: the frame from which a replay is shown.
    """

    keys: Tensor
    mouse: Tensor
    a_frame: bool = False
    opening: Opening | None = None
    first: int = 0

    def covers(self, block: int, frames: range) -> bool:
        """Whether there is an action for all of that block."""
        return (frames[-1] if self.a_frame else block) < self.keys.shape[1]

    def at(self, block: int, frames: range, world: World) -> Actions:
        """The actions of one block's frames; past its end a script begins again."""
        index = torch.tensor(list(frames) if self.a_frame else [block] * len(frames)) % self.keys.shape[1]
        return world.actions(self.keys[:, index], self.mouse[:, index])


def read_script(source: str | Path, world: World) -> Script:
    """The script of a file, or the world's own for `bench`.

    A file whose name ends in .csv has numbers, a row a frame: keys, then the mouse (vertical, horizontal), or in any
    order under a header with their names. One in .ndjson is a diary of `tween play`. Any other has letters, an action
    a block, apart from each other by spaces or lines; what follows a # is not read.

    Raises:
        TweenError: if there is no such file, or at what cannot be read in it.
    """
    if source == "bench":
        return spelled(world.mode.bench, world)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise TweenError(
            f"expected a file of actions, or bench for the built-in ones, but {source} cannot be read; check the name"
        ) from None
    except UnicodeDecodeError:
        raise TweenError(f"expected a text of actions, but {path} is no text") from None
    if path.suffix.lower() == ".ndjson":
        opening, pressed, first = read_diary(text, path, world)
        return Script(keys=pressed[0], mouse=pressed[1], opening=opening, first=first)
    if path.suffix.lower() == ".csv":
        keys, mouse = _table(text, path, world)
        return Script(keys=keys, mouse=mouse, a_frame=True)
    return spelled(
        [word for line in text.splitlines() for word in line.partition("#")[0].split()], world, path
    )


def spelled(words: Sequence[str], world: World, path: str | Path = "the script") -> Script:
    """A script of letters, `WL` for a block of forward and look right."""
    if not words:
        raise TweenError(f"expected an action a block, such as W, WL or Q, but {path} has none")
    actions = [world.read(word) for word in words]
    return Script(
        keys=torch.cat([a.keys for a in actions], 1), mouse=torch.cat([a.mouse for a in actions], 1)
    )


def _table(text: str, path: Path, world: World) -> tuple[Tensor, Tensor]:
    columns = (*world.mode.keys, *(MOUSE if world.mode.mouse else ()))
    rows = [(i, row) for i, row in enumerate(csv.reader(text.splitlines()), 1) if any(x.strip() for x in row)]
    order = list(columns)
    if rows and not _is_number(rows[0][1][0]):
        order = [name.strip().lower() for name in rows.pop(0)[1]]
        if not set(order) <= set(columns) or len(set(order)) < len(order):
            raise TweenError(
                f"the header of {path} should name each of {', '.join(columns)} at most once, "
                f"but has {', '.join(order)}"
            )
    if not rows:
        raise TweenError(f"expected a row of numbers for each frame, but {path} has none")
    values = torch.zeros(1, len(rows), len(world.mode.keys) + 2)
    for i, (line, row) in enumerate(rows):
        if len(row) != len(order) or not all(map(_is_number, row)):
            raise TweenError(f"line {line} of {path} should have {len(order)} numbers ({', '.join(order)})")
        for name, x in zip(order, row, strict=True):
            values[0, i, columns.index(name)] = float(x)
    keys, mouse = values[..., :-2], values[..., -2:]
    if not ((keys == 0) | (keys == 1)).all():
        raise TweenError(f"keys are 0 or 1, but {path} has others; the mouse's columns come after the keys'")
    return keys, mouse


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
