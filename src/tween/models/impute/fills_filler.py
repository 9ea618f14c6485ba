"""A fill as a Filler: what impute does without its refiner, and the draft of what it does with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from tween.models.impute.fills import Fill, idw, linear, nearest, slerp
from tween.models.impute.fills_sinkhorn import sinkhorn

FILLS: dict[str, Callable[[], Fill]] = {
    "nearest": lambda: nearest,
    "linear": lambda: linear,
    "slerp": lambda: slerp,
    "idw": lambda: idw,
    "sinkhorn": sinkhorn,
}
"""By the name that a recipe has for them; its other names are those of released interpolators."""


class FillFiller:
    """Fills gaps by `fill`, which sees `sight` keyframes on each side; nothing is learned or remembered.

    Args:
        fill: of `fills` or `fills_sinkhorn`.
        sight: keyframes before, and as many after. One is all that fills by neighbours look at.
    """

    multiple = 1
    bytes_per_pixel = (
        1260.0  # measured at 1080p on a CPU: slerp, the hungriest, for 8 times at once, 2 keyframes
    )

    def __init__(self, fill: Fill, *, sight: int = 1) -> None:
        self._fill, self.past, self.future = fill, sight, sight

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> None:
        """Nothing is remembered, and nothing drawn."""

    def fill(
        self,
        state: None,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, None]:
        """As `Filler.fill`. A queried time that is a known frame's gives that frame."""
        last = {time: i for i, time in enumerate(known_t)}  # the outermost may come repeated
        times = sorted({*last, *query_t})
        mask = torch.tensor([time in last for time in times], device=known.device)
        frames = known.new_zeros(known.shape[0], len(times), *known.shape[2:])
        frames[:, mask] = known[:, [last[time] for time in times if time in last]]
        made = self._fill(frames, mask.expand(len(known), -1), times)
        return made[:, [times.index(time) for time in query_t]].clamp(0, 1), None
