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
    decay = torch.exp(delta[..., None] * A)  # b c q d n
    feed = (delta * u)[..., None] * B[:, :, :, None]
    S, P, states, products = feed[:, :, 0] * 0, torch.ones_like(feed[:, :, 0]), [], []
    order = range(chunk)
    for i in reversed(order) if reverse else order:
        S, P = decay[:, :, i] * S + feed[:, :, i], P * decay[:, :, i]
        states.append(S)
        products.append(P)
    carry, before = torch.zeros_like(S[:, 0]), []
    order = range(S.shape[1])
    for c in reversed(order) if reverse else order:
        before.append(carry)
        carry = P[:, c] * carry + S[:, c]
    if reverse:
        states, products, before = states[::-1], products[::-1], before[::-1]
    S = torch.stack(states, dim=2) + torch.stack(products, dim=2) * torch.stack(before, dim=1)[:, :, None]
    return torch.einsum("bcqdn,bcqn->bcqd", S, C).flatten(1, 2)[:, :length]
