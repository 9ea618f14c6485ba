"""Window attention as one dense attention over all tokens: slow, obvious, any dtype."""

from __future__ import annotations

import torch
from torch import Tensor


def window_attention_dense(
    q: Tensor, k: Tensor, v: Tensor, *, window: int, shift: int = 0, gate: Tensor | None = None
) -> Tensor:
    """Shapes as `window_attention`. Token (i, j) sits in square ((i - shift) // window, (j - shift) // window)."""
    h, w, _, hd = q.shape[1:]
    rows, columns = (
        (torch.arange(size, device=q.device) - shift).div(window, rounding_mode="floor") for size in (h, w)
    )
    square = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).flatten(1)
    together = (square[:, :, None] == square[:, None, :]).all(0)
    q, k, v = (t.flatten(1, 2).transpose(1, 2) for t in (q, k, v))
    score = (q @ k.mT / hd**0.5).masked_fill(~together, -torch.inf)
    y = (score.softmax(-1) @ v).transpose(1, 2).unflatten(1, (h, w))
    return y if gate is None else y * torch.sigmoid(gate)
