"""Learning rate and averaging decay as pure functions of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math


def ramp(step: int, length: int) -> float:
    """Linear from 1/length at step 0 to 1 from step length - 1 on."""
    return min(1.0, (step + 1) / length) if length else 1.0


def cosine(step: int, *, steps: int, warmup: int, lr: float, min_lr: float) -> float:
    """Learning rate at `step`: linear warm-up, then half a cosine from `lr` to `min_lr` at the last step."""
    if step < warmup:
        return lr * ramp(step, warmup)
    done = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * done))


def ema_decay(step: int, decay: float) -> float:
    """Decay at `step`, small at first so that the initial weights are soon forgotten: (1 + s) / (10 + s)."""
    return min(decay, (1 + step) / (10 + step))
