"""Frames asked for four times: as they are, mirrored, upside down, and both.

Mistakes differ between the four answers and are smaller in their mean, while what they agree on stays (test-time
augmentation, which papers report as TTA; here by all four flips).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from tween.models.interp.filler import InterpFiller

FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
"""Axes of `... h w` that are turned round."""


class Flipped:
    """The mean of what `filler` makes of the frames under every flip.

    Args:
        filler: each flip has a state of its own in it.
        refined: asked once, about the frames as they are; what it changes there in the answer of `filler` is added to
            the mean. So a refinement of `filler` costs once what it would cost four times.
    """

    past = future = 1

    def __init__(self, filler: InterpFiller, refined: InterpFiller | None = None) -> None:
        self.filler, self.refined = filler, refined
        self.asked = [filler] * len(FLIPS) + ([refined] if refined else [])
        self.nets = [one.net for one in self.asked]
        self.net, self.scale, self.multiple = self.nets[-1], filler.scale, self.asked[-1].multiple
        self.bytes_per_pixel = self.asked[-1].bytes_per_pixel + sum(net.kept for net in self.nets[:-1])

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> list[Any]:
        """A state for each answer."""
        return [one.begin(shape, seed=seed, device=device, dtype=dtype) for one in self.asked]

    def fill(
        self,
        state: list[Any],
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, list[Any]]:
        """As `Filler.fill`; one flip after the other, so that they need little more memory than one."""
        answers, after = [], []
        for own, axes in zip(state, FLIPS, strict=False):
            made, own = self.filler.fill(own, known.flip(axes), known_t, query_t)
            answers.append(made.flip(axes).float())
            after.append(own)
        mean = torch.stack(answers).mean(0)
        if self.refined:
            made, own = self.refined.fill(state[-1], known, known_t, query_t)
            mean = (mean + made.float() - answers[0]).clamp(0, 1)
            after.append(own)
        return mean.to(known.dtype), after
