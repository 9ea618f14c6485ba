"""A walk on film: a file for its frames, keys and mouse drawn into them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from tween.core import Frame
from tween.infer.walk import Block
from tween.infer.world import World
from tween.video.colour import FULL, Colour
from tween.video.info import VideoInfo
from tween.video.overlay import drawn
from tween.video.write import open_writer


class Overlay:
    """Draws what was held when a frame was shown. `add` blocks as they come, `draw` frames as they go."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._letters, self._full = letters(world), full_turn(world)
        self._held: dict[int, tuple[tuple[bool, ...], tuple[float, float] | None]] = {}

    def add(self, block: Block) -> None:
        """Remember a block's actions until its frames are drawn."""
        rows = zip(block.actions.keys[0].tolist(), block.actions.mouse[0].tolist(), strict=True)
        for frame, (keys, mouse) in zip(block.shown, rows, strict=True):
            near = (
                tuple(max(-1.0, min(1.0, x / self._full)) for x in mouse) if self.world.mode.mouse else None
            )
            self._held[frame] = tuple(map(bool, keys)), near

    def draw(self, frame: Frame) -> Frame:
        """The frame with the keys and the mouse of its time."""
        now = math.floor(frame.time * self.world.rate)
        for old in [x for x in self._held if x < now]:
            del self._held[old]
        rgb = drawn(frame.rgb, self._letters, *self._held[now])
        return Frame(time=frame.time, rgb=rgb, source=frame.source)


def letters(world: World) -> list[str]:
    """The letter of each key of the mode, for people."""
    found = {names[0]: letter for letter, (names, _) in world.mode.letters.items() if len(names) == 1}
    return [found.get(name, name[:1].upper()) for name in world.mode.keys]


def full_turn(world: World) -> float:
    """What a letter turns the mouse by in a frame; 1 where there is no mouse."""
    return max((abs(x) for _, turn in world.mode.letters.values() for x in turn), default=0.0) or 1.0


@contextmanager
def filming(path: str | Path, world: World, rate: Fraction | None = None, **encoding: Any) -> Iterator[Any]:
    """A writer for frames of a world, as `video.write.open_writer`; colours are sRGB's."""
    rate = rate or world.rate
    info = VideoInfo(
        path="",
        width=world.size[1],
        height=world.size[0],
        rate=rate,
        time_base=1 / rate,
        codec="made",
        pix_fmt="gbrp",
        colour=Colour(range=FULL, primaries=1, transfer=13, matrix=0),
    )
    with open_writer(path, info=info, rate=rate, **encoding) as writer:
        yield writer
