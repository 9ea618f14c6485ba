"""`thesis` as a `Filler`: the shared frame's features are kept, a pair's work serves all its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from tween.models.interp.baselines import positions
from tween.models.interp.net import Encoded, HybridNet, simple

BYTES = {1: 14_000.0, 2: 3_700.0, 4: 1_200.0}
"""Peak working memory per pixel by stem stride: measured at 512x768 in fp32 on a CPU for one time, width 32.
The tokens of the finest level are nearly all of it."""


@dataclass(frozen=True)
class Shared:
    """The last frame of the previous pair: its time and what it alone gave. Before the first pair there is none."""

    time: Fraction | None = None
    encoded: Encoded | None = None


class HybridFiller:
    """One frame before, one after; any number of times between them.

    Args:
        net: its weights in fp32.
        dtype: bf16 or fp16 runs the network under autocast; frames, flow and blending stay fp32.
        scale: motion is estimated at this fraction of the frame's size, taken as one of a denominator up to 20; below 1
            for large motion and 4K.
    """

    past = future = 1

    def __init__(self, net: HybridNet, *, dtype: torch.dtype = torch.float32, scale: float = 1.0) -> None:
        self.net, self.dtype, self.scale = net.eval(), dtype, float(simple(scale))
        self.multiple = net.multiple_at(scale)
        self.bytes_per_pixel = BYTES[net.config.stem_stride] * net.config.width / 32

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> Shared:
        """Nothing seen yet. The network draws nothing, so `seed` has no effect."""
        return Shared()

    @torch.inference_mode()
    def fill(
        self,
        state: Shared,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, Shared]:
        """As `Filler.fill`, with n = 2; frames in the type of `known`, clamped to [0, 1]."""
        image0, image1 = known.float().unbind(1)
        net, frames = self.net, []
        with torch.autocast(known.device.type, self.dtype, enabled=self.dtype != torch.float32):
            same = state.time == known_t[0] and state.encoded is not None
            first = state.encoded if same else net.encode(image0)
            second = net.encode(image1)
            pair = net.pair(first, second)
            for position in positions(known_t, query_t):
                t = torch.full((known.shape[0],), position, device=known.device)
                filled = net.at(image0, image1, first, second, pair, t, scale=self.scale)
                frames.append(filled.prediction.float().clamp(0, 1))
        return torch.stack(frames, 1).to(known.dtype), Shared(known_t[1], second)
