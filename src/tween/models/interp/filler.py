"""`fast` and `quality` as a `Filler`: a shared frame's features are kept, and all times of a pair share its motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from tween.models.interp import fast, quality
from tween.models.interp.baselines import positions
from tween.models.interp.ends import inner, pace
from tween.models.interp.fast import FastNet, motion_size
from tween.models.interp.quality import QualityNet
from tween.ops.replay import replayed


@dataclass(frozen=True)
class Seen:
    """The last frame of the previous pair: its time and features. Before the first pair there is none."""

    time: Fraction | None = None
    features: fast.Features | quality.Features | None = None


class InterpFiller:
    """One frame before, one after; any number of times between them.

    Args:
        net: in the precision to run in.
        scale: motion is estimated at this fraction of the size that the network was trained for; below 1 for very
            large motion.
    """

    past = future = 1

    def __init__(self, net: FastNet | QualityNet, *, scale: float = 1.0) -> None:
        self.net, self.scale = net.eval(), scale
        self.multiple, self.bytes_per_pixel = net.multiple, net.bytes_per_pixel
        self._encode, self._pair, self._at = replayed(net.encode), replayed(net.pair), replayed(self._picture)

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> Seen:
        """Nothing seen yet. The network draws nothing, so `seed` has no effect."""
        return Seen()

    @torch.inference_mode()
    def fill(
        self,
        state: Seen,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, Seen]:
        """As `Filler.fill`, with n = 2; frames in the type of `known`, clamped to [0, 1]."""
        size = motion_size(*known.shape[-2:], self.net.config.area * self.scale**2)
        image0, image1 = known.float().unbind(1)
        same = state.time == known_t[0] and state.features is not None
        f0 = state.features if same else self._encode(image0, size)
        f1 = self._encode(image1, size)
        motion = self._pair(f0, f1)
        frames = []
        for position in positions(known_t, query_t):
            shown = torch.full(
                (known.shape[0],), position, device=known.device
            )  # fp32 whatever the frames are
            t = inner(shown)
            frames.append(self._at(image0, image1, f0, f1, motion, t, pace(t, shown)))
        return torch.stack(frames, 1).to(known.dtype), Seen(known_t[1], f1)

    def _picture(self, *arguments: Any) -> Tensor:
        return self.net.at(*arguments).prediction.clamp(0, 1)
