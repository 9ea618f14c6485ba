"""AdamW as every turn uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from tween.core import TweenError
from tween.engine import muon
from tween.engine.distributed import local, total_norm
from tween.engine.schedule import cosine, ramp


@dataclass(frozen=True, kw_only=True)
class Optim:
    """AdamW (Loshchilov and Hutter, 2019) with warm-up and cosine.

    Attributes:
        lr: the peak; a parameter group with its own `lr` keeps its ratio to this one throughout.
        warmup: steps from 0 to `lr`.
        rewarm: steps over which the rate returns after a resume without moments.
        weight_decay: on parameters of two dimensions or more; biases, gains and slopes are left alone.
        clip: greatest norm of a turn's gradient.
        muon: groups that a task marks with `muon`, the matrices inside its networks, move by Muon.
    """

    lr: float = 3e-4
    min_lr: float = 3e-6
    warmup: int = 1000
    rewarm: int = 100
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    muon: bool = False

    def __post_init__(self) -> None:
        for name in ("lr", "min_lr", "warmup", "weight_decay"):
            if not getattr(self, name) >= 0:  # written so that NaN is refused, too
                raise TweenError(f"{name} should be 0 or more, but got {getattr(self, name)}")

    def rate(self, step: int, steps: int, fresh: int, begin: int = 0) -> float:
        """Learning rate at `step` of `steps`, with moments gathered since step `fresh`.

        What begins to learn at step `begin` has a warm-up of its own from there.
        """
        peak = cosine(step, steps=steps, warmup=self.warmup, lr=self.lr, min_lr=self.min_lr)
        late = ramp(step - begin, self.warmup) if begin else 1.0
        return peak * late * (ramp(step - fresh, self.rewarm) if fresh else 1.0)

    def build(self, groups: Iterable[Mapping[str, Any]]) -> AdamW:
        """One AdamW over `groups`, each split into what decays and what does not.

        A group's `begin` is the step from which it learns: before, the loop gives it no gradient, so AdamW neither
        moves nor decays it and keeps no moments of it.
        Fused on every device: only that form skips a step by a flag that stays on the device.
        """
        split = [part for group in groups for part in self._split(group) if part["params"]]
        muon.check([p for part in split if part["muon"] for p in part["params"]])
        kind = muon.Muon if self.muon else AdamW
        return kind(split, lr=self.lr, betas=self.betas, fused=True)

    def _split(self, group: Mapping[str, Any]) -> list[dict[str, Any]]:
        params, own = list(group["params"]), {"begin": 0} | {k: v for k, v in group.items() if k != "params"}
        own["scale"] = own.get("lr", self.lr) / self.lr
        own["muon"] = self.muon and own.get("muon", False)
        matrices, vectors = [p for p in params if p.ndim > 1], [p for p in params if p.ndim <= 1]
        return [
            {"weight_decay": self.weight_decay} | own | {"params": matrices},
            {"weight_decay": 0.0} | own | {"params": vectors},
        ]


def gradients(optimizer: AdamW) -> list[Tensor]:
    """The gradients the last backward pass left, in the order of the parameters."""
    return [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def step(
    optimizer: AdamW, *, rate: Callable[[int], float], clip: float, loss: Tensor
) -> tuple[Tensor, Tensor]:
    """Clip and step, or nothing at all when `loss` or the gradient is not finite. Never waits for the device.

    Args:
        rate: learning rate of a group that begins to learn at a given step.

    Returns:
        the gradient's norm before clipping and 1.0 if the step was skipped, both scalars on the device.
    """
    grads = gradients(optimizer)
    norm = total_norm(grads)
    torch._foreach_mul_([local(g) for g in grads], (clip / (norm + 1e-6)).clamp(max=1.0))
    skipped = (~torch.isfinite(norm + loss)).float()
    optimizer.found_inf = skipped  # read by the fused kernel: 1 leaves parameters, moments and counts alone
    for group in optimizer.param_groups:
        group["lr"] = rate(group["begin"]) * group["scale"]
    optimizer.step()
    return norm, skipped
