"""Mamba1's scan in plain PyTorch: the sequential truth and the chunked form that runs everywhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def selective_scan_recurrent(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    reverse: bool = False,
) -> Tensor:
    """The recurrence token by token, in the dtype of its inputs (give fp64 for a truth). Shapes as there."""
    length = u.shape[1]
    S = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    ys: list[Tensor] = [u] * length
    for i in reversed(range(length)) if reverse else range(length):
        S = torch.exp(delta[:, i, :, None] * A) * S + (delta[:, i] * u[:, i])[..., None] * B[:, i, None]
        ys[i] = torch.einsum("bdn,bn->bd", S, C[:, i])
    y = torch.stack(ys, dim=1)
    return y if D is None else y + D * u


def selective_scan_chunked(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, chunk: int = 64, reverse: bool = False
) -> Tensor:
    """All chunks step together, then the chunks' carries are passed on. y `b l d`, fp32 or wider."""
    length = u.shape[1]
    wide = torch.promote_types(u.dtype, torch.float32)
    u, delta, A, B, C = (t.to(wide) for t in (u, delta, A, B, C))
    u, delta, B, C = (
        F.pad(t, (0, 0, 0, -length % chunk)).unflatten(1, (-1, chunk)) for t in (u, delta, B, C)
    )
    turn = reversed if reverse else iter
    decays = torch.exp(delta[..., None] * A).unbind(2)  # q tensors b c d n
    feeds = ((delta * u)[..., None] * B[:, :, :, None]).unbind(2)
    S, P, steps = torch.zeros_like(feeds[0]), torch.ones_like(feeds[0]), []
    for decay, feed in turn(list(zip(decays, feeds, strict=True))):
        S, P = decay * S + feed, P * decay
        steps.append((S, P))
    before, carry = [], torch.zeros_like(S[:, 0])
    for decay, feed in turn(list(zip(P.unbind(1), S.unbind(1), strict=True))):
        before.append(carry)
        carry = decay * carry + feed
    entry = torch.stack(list(turn(before)), dim=1)
    ys = [
        torch.einsum("bcdn,bcn->bcd", S + P * entry, Ci)
        for (S, P), Ci in zip(turn(steps), C.unbind(2), strict=True)
    ]
    return torch.stack(ys, dim=2).flatten(1, 2)[:, :length]
