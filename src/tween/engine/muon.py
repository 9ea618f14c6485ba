"""Muon for matrices inside a network, AdamW for the rest, as one optimiser."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import AdamW

from tween.core import TweenError

QUINTIC = (3.4445, -4.7750, 2.0315)
MOMENTUM = 0.95


class Muon(AdamW):
    """AdamW, but groups with `muon` true move along their orthogonalised momentum (Jordan, 2024), at the size of an
    AdamW step (Liu et al., arXiv 2502.16982, eq. 4), so that one learning rate and one decay serve both.

    torch.optim.Muon takes no convolutions and cannot leave a step out without waiting for the device.
    """

    @torch.no_grad()
    def step(self) -> None:
        """One step; nothing where `found_inf` is 1."""
        skipped = getattr(self, "found_inf", None)
        mine = [(p, group) for group in self.param_groups if group["muon"] for p in group["params"]]
        held = [(p, p.grad, group) for p, group in mine if p.grad is not None]
        for p, grad, group in held:
            go = torch.ones((), device=p.device) if skipped is None else 1 - skipped
            self._move(p, grad, group["lr"], group["weight_decay"], go)
            p.grad = None  # AdamW has nothing to do with it
        super().step()
        for p, grad, _ in held:
            p.grad = grad

    def _move(self, p: Tensor, grad: Tensor, lr: float, decay: float, go: Tensor) -> None:
        state = self.state[p]
        if not state:
            state["step"], state["exp_avg"] = torch.zeros((), device=p.device), torch.zeros_like(p)
        grad = torch.where(go > 0, grad, 0)
        state["exp_avg"].lerp_(grad, (1 - MOMENTUM) * go)
        update = orthogonal(grad.lerp(state["exp_avg"], MOMENTUM).flatten(1)).view_as(p)
        size = 0.2 * max(len(p), p[0].numel()) ** 0.5
        p.mul_(1 - lr * decay * go).sub_(update.to(p.dtype) * (lr * size * go))
        state["step"] += go


def orthogonal(g: Tensor, steps: int = 5) -> Tensor:
    """A matrix with the singular vectors of `g` (`m n`) and singular values of about 0.7 to 1.2, by Newton-Schulz."""
    a, b, c = QUINTIC
    x = g.bfloat16() if g.is_cuda else g.float()
    x = x.mT if g.shape[0] > g.shape[1] else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if g.shape[0] > g.shape[1] else x


def check(params: list[Tensor]) -> None:
    """Refuse shards: a part of a matrix cannot be orthogonalised."""
    if any(hasattr(p, "to_local") for p in params):
        raise TweenError(
            "Muon needs whole matrices, but parameters are sharded; leave out --sharded, or Muon"
        )
