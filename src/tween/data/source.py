"""What every training set looks like to the code that makes batches of it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Sample(NamedTuple):
    """Three frames of one motion.

    Attributes:
        frames: `3 3 h w` uint8 RGB (frame 0, frame t, frame 1).
        t: where the middle one lies between the others, in (0, 1).
        flow: `4 h w`, exact flow_t0 and flow_t1 in pixels; None where it is not known.
    """

    frames: Tensor
    t: float
    flow: Tensor | None = None


class Source(Protocol):
    """A training set: `len` samples, of which a crop is drawn by number."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Where sample `index` lies, for messages."""
        ...

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Sample:
        """Sample `index` cropped to `size` (h, w) and augmented: a function of the arguments and of `g`'s state."""
        ...
