"""Floor 0: what every other floor agrees on.

Shape alphabet (used in every docstring): b batch, t time, n known frames, q queried frames,
c channels, h height, w width, d model width, l sequence length.

Frames are RGB float in [0, 1], `b t c h w`; a single frame is `c h w`. Times are `Fraction` seconds, never float.
Flow is (dx, dy) in pixels, channel 0 is x; the name says the direction: `flow_t0` is sampled at
time t and points into frame 0.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

State = TypeVar("State")
POWER = 330  # of ten, which floats reach


class TweenError(Exception):
    """A mistake the user can mend. The message is one sentence: what was expected, what came, what to do."""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. CUDA's allocator has an error of its own; the CPU's, cuDNN and cuBLAS only say it."""
    words = ("can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        word in str(error) for word in words
    )


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture at one exact time.

    Attributes:
        time: seconds, exact.
        rgb: `c h w` float in [0, 1], c = 3 (RGB) or 4 (RGB + alpha), transfer as in the source.
        source: True for a frame that was decoded, False for one that was made.
    """

    time: Fraction
    rgb: Tensor
    source: bool = True

    def on(self, device: Any) -> Tensor:
        """`rgb` on a device."""
        return self.rgb.to(device)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames with their times.

    Attributes:
        frames: `b t c h w` in [0, 1].
        times: one per frame, strictly increasing.
    """

    frames: Tensor
    times: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if self.frames.ndim != 5 or self.frames.shape[1] != len(self.times):
            raise TweenError(
                f"a Clip needs frames of shape (b, t, c, h, w) with one time per frame, "
                f"but got shape {tuple(self.frames.shape)} and {len(self.times)} times"
            )
        if any(a >= b for a, b in zip(self.times, self.times[1:], strict=False)):
            raise TweenError("a Clip needs strictly increasing times; sort the frames and drop duplicates")


@runtime_checkable
class Filler(Protocol[State]):
    """Whatever gives frames at times it was not given.

    `past` and `future` say how many known frames it must see before and after a queried time; `multiple` is what
    height and width must divide by; `bytes_per_pixel` is the measured peak working memory per input pixel.
    At the ends of a clip the outermost known frame is repeated, with its time.
    A state is used once: its buffers may be overwritten by the call that consumes it; fork with `clone`.

    One may also have `most`, how many times it can fill at once (8 else); `condition(given, text)`, what makes its
    `cond` of which known frames must stay as they are, and of a text embedding or None; and `coarse`, the Filler that
    it begins with and refines.
    """

    past: int
    future: int
    multiple: int
    bytes_per_pixel: float

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> State:
        """State before the first frame of a clip of shape `(b, c, h, w)`."""
        ...

    def fill(
        self,
        state: State,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, State]:
        """Frames `b q c h w` at `query_t` from `known` (`b n c h w`, n = past + future) and the next state."""
        ...


class Task(Protocol):
    """What a family tells the engine. A *turn* is one optimiser's part of a step (critic, then generator)."""

    modules: nn.ModuleDict

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        """turn -> optimiser parameter groups, as torch.optim takes them."""
        ...

    def turns(self, step: int) -> Iterable[str]:
        """Names of the turns this step takes, in order."""
        ...

    def loss(self, turn: str, batch: Any, step: int) -> Mapping[str, Tensor]:
        """Named scalar terms, already weighted: the engine sums them. A name with a slash is a measure, without
        gradient: it is logged only."""
        ...

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Freezing, queues, curricula: what happens between steps."""
        ...


def clone(state: State) -> State:
    """An independent copy of a state, so that a session can fork."""
    return copy.deepcopy(state)


def exact(value: Fraction | int | float | str, what: str = "number") -> Fraction:
    """`value` as a Fraction. Text may be `60`, `59.94` or `60000/1001`; a float is read by its shortest decimal, and
    numbers of numpy and torch as the plain ones they hold.

    Raises:
        TweenError: if `value` is not a finite number, or its text has a power of ten beyond `POWER`.
    """
    try:
        plain = value.item() if hasattr(value, "item") else value
        if not isinstance(plain, (float, str)):
            return Fraction(plain)
        text = str(plain).strip().lower()
        if abs(int(text.partition("e")[2] or 0)) > POWER:  # or 1e99999999 would be written out
            raise ValueError
        return Fraction(text)
    except (ValueError, ZeroDivisionError, TypeError, RuntimeError):
        raise TweenError(
            f"{what} should be a number such as 60, 59.94 or 60000/1001, but got {value!r}"
        ) from None
