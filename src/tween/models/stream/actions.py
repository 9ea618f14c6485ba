"""What the player does: keys and mouse, one value a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.stream.timeline import HEARD, STRIDE

TURN = 0.1
"""What one of the letters I, K, J, L turns the view by, in the units of the mouse."""


@dataclass(frozen=True)
class Actions:
    """Keys and mouse of consecutive frames; action k moves the world from frame k to k + 1.

    Attributes:
        keys: `b f k`, 1 where pressed.
        mouse: `b f 2`, vertical (up is positive) and horizontal (right is positive); a mode without mouse ignores it.
    """

    keys: Tensor
    mouse: Tensor

    @property
    def frames(self) -> int:
        """f."""
        return self.keys.shape[1]

    def __getitem__(self, frames: slice) -> Actions:
        """Those of some frames."""
        return Actions(self.keys[:, frames], self.mouse[:, frames])

    def to(self, *args: Any) -> Actions:
        """As `Tensor.to`."""
        return Actions(self.keys.to(*args), self.mouse.to(*args))


def join(first: Actions, then: Actions) -> Actions:
    """One after the other."""
    return Actions(torch.cat((first.keys, then.keys), 1), torch.cat((first.mouse, then.mouse), 1))


def hold(action: Actions, frames: int) -> Actions:
    """`action` of one frame, held for `frames` frames."""
    return Actions(action.keys.expand(-1, frames, -1), action.mouse.expand(-1, frames, -1))


def heard_by(latents: range, actions: Actions, first: int = 0) -> Actions:
    """What each latent hears (`timeline.heard`).

    Args:
        actions: of the frames from `first` on, as far as the latents hear.

    Returns:
        keys `b n 12 k` and mouse `b n 12 2`.

    Raises:
        TweenError: if there are too few actions.
    """
    need = max(1, STRIDE * (latents.stop - 1)) - first
    if actions.frames < need:
        raise TweenError(
            f"latents {latents.start} to {latents.stop - 1} hear {need} actions from frame {first} on, "
            f"but got {actions.frames}; give one action a frame"
        )
    device = actions.keys.device
    newest = STRIDE * torch.arange(latents.start, latents.stop, device=device)
    index = (newest[:, None] + torch.arange(-HEARD, 0, device=device)).clamp(min=0) - first
    return Actions(actions.keys[:, index], actions.mouse[:, index])


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How a game is played.

    Attributes:
        keys: their names, in the order of `Actions.keys`.
        mouse: whether it has one.
        letters: letter -> key names, and mouse (vertical, horizontal).
        bench: letters of a built-in sequence, one entry a block.
    """

    keys: tuple[str, ...]
    mouse: bool
    letters: dict[str, tuple[tuple[str, ...], tuple[float, float]]]
    bench: tuple[str, ...]


STILL = (0.0, 0.0)
LOOK = {
    "I": ((), (TURN, 0.0)),
    "K": ((), (-TURN, 0.0)),
    "J": ((), (0.0, -TURN)),
    "L": ((), (0.0, TURN)),
    "U": ((), STILL),
}

UNIVERSAL = Mode(
    keys=("forward", "back", "left", "right"),
    mouse=True,
    letters=LOOK
    | {
        "W": (("forward",), STILL),
        "S": (("back",), STILL),
        "A": (("left",), STILL),
        "D": (("right",), STILL),
        "Q": ((), STILL),
    },
    bench=(
        "W",
        "L",
        "W",
        "J",
        "S",
        "A",
        "D",
        "I",
        "K",
        "WL",
        "WJ",
        "WA",
        "WD",
        "SL",
        "SJ",
        "WAL",
        "WDJ",
        "Q",
    ),
)

GTA_DRIVE = Mode(
    keys=("forward", "back"),
    mouse=True,
    letters={
        "W": (("forward",), STILL),
        "S": (("back",), STILL),
        "A": ((), (0.0, -TURN)),
        "D": ((), (0.0, TURN)),
        "Q": ((), STILL),
    },
    bench=("W", "WA", "W", "WD", "S", "SA", "SD", "Q"),
)

TEMPLERUN = Mode(
    keys=("nomove", "jump", "slide", "turnleft", "turnright", "leftside", "rightside"),
    mouse=False,
    letters={
        "W": (("jump",), STILL),
        "S": (("slide",), STILL),
        "Z": (("turnleft",), STILL),
        "C": (("turnright",), STILL),
        "A": (("leftside",), STILL),
        "D": (("rightside",), STILL),
        "Q": (("nomove",), STILL),
    },
    bench=("Q", "W", "Q", "S", "A", "D", "Z", "C"),
)


def read(letters: str, mode: Mode) -> Actions:
    """What `letters` held together mean, as one action, `1 1 k`; `WL` in `UNIVERSAL`: forward and look right.

    No letter is Q.

    Raises:
        TweenError: at a letter that the mode does not know.
    """
    keys, mouse = torch.zeros(1, 1, len(mode.keys)), torch.zeros(1, 1, 2)
    for letter in letters.strip().upper() or "Q":
        if letter not in mode.letters:
            known = "".join(sorted(mode.letters))
            raise TweenError(f"actions are letters of {known}, but got {letter!r} in {letters!r}")
        names, turn = mode.letters[letter]
        for name in names:
            keys[..., mode.keys.index(name)] = 1
        mouse += torch.tensor(turn)
    return Actions(keys, mouse)
