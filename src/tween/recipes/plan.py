"""The thesis plan's three phases as numbers, and what they come to in optimiser steps. Nothing here runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tween.core import TweenError

Phase = Literal[1, 2, 3]
VIMEO = 51_313  # training triplets of Vimeo90K: the plan's epoch


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a phase is trained.

    Attributes:
        epochs: in all; an epoch is one pass over the main training set.
        lr, min_lr: peak and end of the cosine.
        warmup: steps from 0 to `lr`, and again for what was frozen.
        freeze: epochs in which the backbone stays as it was.
        ratio: batches of the main set to batches of the large-motion set.
        crop: side of the main set's crops, in pixels.
        grow: the large-motion set's crops in turn, as multiples of `crop`.
        every: epochs before they grow.
        halfway: every sample is at t = 1/2: for a network that is not told t.
    """

    epochs: int
    lr: float
    min_lr: float
    warmup: int = 2000
    weight_decay: float = 1e-4
    freeze: int = 0
    ratio: tuple[int, int] = (1, 0)
    crop: int = 256
    grow: tuple[float, ...] = (1,)
    every: int = 33
    halfway: bool = False


PLANS: dict[int, Plan] = {
    1: Plan(epochs=300, lr=2e-4, min_lr=2e-5, halfway=True),
    2: Plan(epochs=200, lr=1e-4, min_lr=1e-5, freeze=50),
    3: Plan(epochs=100, lr=5e-5, min_lr=5e-6, ratio=(2, 1)),
}
CURRICULUM = (1, 1.5, 2)
"""256, 384 and 512 pixels."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A plan in steps.

    Attributes:
        steps: in all.
        epoch: steps in one pass over the main set.
        warmup, freeze: steps.
        crop: side of the main set's crops.
        growth: (from this step on, side) of the large-motion set's crops.
        ratio, halfway: as in the plan.
        per_step: batches that one step takes, over all processes.
        world: processes.
    """

    steps: int
    epoch: int
    warmup: int
    freeze: int
    crop: int
    growth: tuple[tuple[int, int], ...]
    ratio: tuple[int, int]
    per_step: int = 1
    world: int = 1
    halfway: bool = False

    def main_size(self, index: int) -> tuple[int, int]:
        """Crop (h, w) of the main set in batch `index`."""
        return self.crop, self.crop

    def large_size(self, index: int) -> tuple[int, int]:
        """Crop (h, w) of the large-motion set in batch `index`: the curriculum."""
        step = index // self.per_step
        side = [side for begin, side in self.growth if begin <= step][-1]
        return side, side

    def is_large(self, index: int) -> bool:
        """Whether batch `index` is one of the large-motion set's."""
        main, large = self.ratio
        return index % (main + large) >= main


def in_steps(
    plan: Plan,
    *,
    samples: int,
    batch_size: int,
    accumulate: int = 1,
    world: int = 1,
    steps: int | None = None,
) -> Schedule:
    """`plan` for a main set of `samples`.

    Args:
        batch_size: samples in one batch; a step takes `accumulate` of them in each of `world` processes.
        steps: of the whole run instead of the plan's epochs; warm-up, freezing and curriculum keep their shares.

    Raises:
        TweenError: on a ratio without batches, epochs below 0, or crops that the network or the loss cannot take.
    """
    main, large = plan.ratio
    if main < 0 or large < 0 or main + large == 0:
        raise TweenError(f"mixed_ratio should be two whole numbers such as 2:1, but got {main}:{large}")
    if plan.freeze < 0 or plan.every < 1:
        raise TweenError(
            f"the backbone is frozen for 0 epochs or more and crops grow after 1 or more, but got {plan.freeze} and "
            f"{plan.every}; change --freeze-backbone or --curriculum-T"
        )
    if any(side % 32 or side < 64 for side in _sides(plan)):
        raise TweenError(f"crops should be multiples of 32 from 64 on, but got {list(_sides(plan))}")
    passes = (
        (main + large) / main if main else 1
    )  # an epoch sees the whole main set, and the other's share on top
    per_step = accumulate * world
    epoch = max(1, round(samples * passes / max(1, batch_size * per_step)))
    whole = plan.epochs * epoch
    factor = 1 if steps is None else steps / whole
    growth = tuple((round(i * plan.every * epoch * factor), side) for i, side in enumerate(_sides(plan)))
    return Schedule(
        steps=whole if steps is None else steps,
        epoch=epoch,
        warmup=round(plan.warmup * factor),
        freeze=round(plan.freeze * epoch * factor),
        crop=plan.crop,
        growth=growth,
        ratio=plan.ratio,
        per_step=per_step,
        world=world,
        halfway=plan.halfway,
    )


def _sides(plan: Plan) -> tuple[int, ...]:
    return tuple(round(plan.crop * factor) for factor in plan.grow)
