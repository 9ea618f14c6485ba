"""A world: what makes its frames, how it is played, and what it can begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from tween.core import TweenError
from tween.infer import session
from tween.infer.session import Session, Streaming


class Mode(Protocol):
    """How a world is played.

    Attributes:
        keys: their names, in the order of `Actions.keys`.
        mouse: whether it has one.
        letters: letter -> names of keys, and mouse (vertical, horizontal) a frame.
        bench: letters of a built-in sequence, an entry a block.
    """

    keys: tuple[str, ...]
    mouse: bool
    letters: Mapping[str, tuple[tuple[str, ...], tuple[float, float]]]
    bench: tuple[str, ...]


class Actions(Protocol):
    """What a player does in some frames: keys `b f k`, 1 where pressed, and mouse `b f 2`, up and right positive."""

    keys: Tensor
    mouse: Tensor


@dataclass(frozen=True, kw_only=True)
class World:
    """Somewhere to walk.

    Attributes:
        name: for people.
        filler: makes the frames.
        mode: how it is played.
        actions: (keys, mouse) -> what the filler is told.
        read: letters held together -> such actions, of one frame; raises a `TweenError` at an unknown letter.
        rate: frames a second.
        size: (h, w) of a frame, pixels.
        block: latents that are made together.
        pictures: to begin with, each `3 h w` in [0, 1].
        device, dtype: that it is computed on and in.
        steps: passes that a block takes, where they were asked for; None: as many as its own.
    """

    name: str
    filler: Streaming
    mode: Mode
    actions: Callable[[Tensor, Tensor], Actions]
    read: Callable[[str], Actions]
    rate: Fraction
    size: tuple[int, int]
    block: int
    pictures: Sequence[Tensor]
    device: Any = "cpu"
    dtype: torch.dtype = torch.float32
    steps: int | None = None

    def open(self, image: Tensor | None = None, seed: int = 0) -> Session:
        """A session that begins with `image`, `3 h w` of the world's size; None: one of its own, by the seed.

        Raises:
            TweenError: if the picture has another size.
        """
        image = self.pictures[seed % len(self.pictures)] if image is None else image
        if tuple(image.shape[-2:]) != tuple(self.size):
            (h, w), (high, wide) = self.size, image.shape[-2:]
            raise TweenError(
                f"{self.name} begins with a picture of {w}x{h}, but got {wide}x{high}; crop or scale it"
            )
        return session.open(self.filler, image, seed, rate=self.rate, device=self.device, dtype=self.dtype)

    def hold(self, pressed: str | Actions, frames: int) -> Actions:
        """Letters, or an action of one frame, held for `frames` frames: `session.step(world.hold("WL", 12))`."""
        action = self.read(pressed) if isinstance(pressed, str) else pressed
        keys, mouse = (x.to(self.device).expand(-1, frames, -1) for x in (action.keys, action.mouse))
        return self.actions(keys, mouse)
