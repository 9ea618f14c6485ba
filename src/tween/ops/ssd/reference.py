"""SSD in plain PyTorch: the sequential truth and the chunked form that runs everywhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ssd_recurrent(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    state: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """The recurrence token by token, in the dtype of its inputs (give fp64 for a truth). Shapes as `ssd`.

    Returns:
        y `b l h p` and the last state `b h p n` (the leftmost token's when `reverse`).
    """
    b, length, h, p = x.shape
    B, C = (t.repeat_interleave(h // t.shape[2], dim=2) for t in (B, C))
    S = x.new_zeros(b, h, p, B.shape[-1]) if state is None else state.to(x.dtype)
    ys: list[Tensor] = [x] * length
    for i in reversed(range(length)) if reverse else range(length):
        decay = torch.exp(dt[:, i] * A)[..., None, None]
        S = decay * S + (dt[:, i, :, None] * x[:, i])[..., None] * B[:, i, :, None, :]
        ys[i] = torch.einsum("bhpn,bhn->bhp", S, C[:, i])
    y = torch.stack(ys, dim=1)
    return (y if D is None else y + D[:, None] * x), S


def ssd_chunked(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    *,
    chunk: int = 64,
    state: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Quadratic inside a chunk, linear between chunks (Dao and Gu 2024, section 6), without the D skip.

    Decays, their sums and the carried state are fp32 or wider; the four matrix products run in `x.dtype`.
    Shapes as `ssd`, with B and C `b l g n`. Returns y `b l h p`, fp32 or wider, and the last state `b h p n`.
    """
    b, length, h, p = x.shape
    g, n = B.shape[2:]
    wide = torch.promote_types(x.dtype, torch.float32)
    dt, A = dt.to(wide), A.to(wide)
    # b c g (h/g) q ...: chunks in front, so that every product is one batched matmul
    x, dt = (
        _chunks(x, chunk).unflatten(2, (g, -1)),
        _chunks(dt[..., None], chunk)[..., 0].unflatten(2, (g, -1)),
    )
    B, C = _chunks(B, chunk), _chunks(C, chunk)
    log_decay = dt * A.view(g, -1, 1)
    s = log_decay.cumsum(-1)  # log decay from the chunk's entry up to and with token i
    total = s[..., -1:]
    if reverse:
        s = total - s + log_decay

    gap = s[..., :, None] - s[..., None, :]
    ones = torch.ones(gap.shape[-2:], dtype=torch.bool, device=x.device)
    past = ones.triu() if reverse else ones.tril()
    L = torch.exp(gap.masked_fill(~past, -torch.inf))  # mask first: inf * 0 would be NaN in the backward pass
    M = (C @ B.mT)[:, :, :, None].to(wide) * L * dt[..., None, :]
    y = (M.to(x.dtype) @ x).to(wide)

    weight = (torch.exp(total - s) * dt)[..., None]
    own = ((weight * x.to(wide)).to(x.dtype).mT @ B[:, :, :, None]).to(wide)  # b c g (h/g) p n
    carry = x.new_zeros(b, h, p, n, dtype=wide) if state is None else state.to(wide)
    before, last = pass_states(total[..., None].flatten(2, 3), own.flatten(2, 3), carry, reverse)
    before = before.unflatten(2, (g, -1)).to(x.dtype)
    y = y + torch.exp(s)[..., None] * (C[:, :, :, None] @ before.mT).to(wide)
    y = y.permute(0, 1, 4, 2, 3, 5).reshape(b, -1, h, p)[:, :length]
    return y, last


def pass_states(log_decay: Tensor, own: Tensor, state: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """The state each chunk starts from, and the last one: S <- exp(log_decay_c) S + own_c.

    Args:
        log_decay: `b c h 1 1`, the whole chunk's. own: `b c h p n`. state: `b h p n`, before the first chunk.
    """
    before: list[Tensor] = []
    steps = list(zip(torch.exp(log_decay).unbind(1), own.unbind(1), strict=True))
    for decay, gain in reversed(steps) if reverse else steps:
        before.append(state)
        state = decay * state + gain
    return torch.stack(before[::-1] if reverse else before, dim=1), state


def _chunks(t: Tensor, chunk: int) -> Tensor:
    """`b l k d` -> `b c k q d`, right-padded with zeros: dt = 0 neither decays nor feeds the state."""
    t = F.pad(t, (0, 0, 0, 0, 0, -t.shape[1] % chunk))
    return t.unflatten(1, (-1, chunk)).transpose(2, 3)
