"""Window attention with an optional sigmoid gate."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tween.core import TweenError

__all__ = ["window_attention"]


def window_attention(
    q: Tensor, k: Tensor, v: Tensor, *, window: int, shift: int = 0, gate: Tensor | None = None
) -> Tensor:
    """Attention inside `window` x `window` squares (Swin, Liu et al. 2021), gated after the product.

    Args:
        q, k, v: `b h w heads hd`, any h and w.
        window: side of a square in tokens.
        shift: how far the squares are moved down and right, 0 <= shift < window.
        gate: logits `b h w heads 1` (one a head) or `b h w heads hd`, or None; the result is multiplied by
            their sigmoid (Qiu et al. 2025).

    Returns:
        `b h w heads hd`.

    Raises:
        TweenError: if `shift` does not fit the window.
    """
    if not 0 <= shift < window:
        raise TweenError(
            f"window_attention needs 0 <= shift < window, but got shift {shift} for window {window}"
        )
    h, w = q.shape[1:3]
    heads = q.shape[3]
    rows, columns = -(-h // window), -(-w // window)
    bottom, right = rows * window - h, columns * window - w
    mask = _mask(h, w, bottom, right, window, shift, q.device) if shift or bottom or right else None
    if mask is not None:
        mask = mask[None, :, None].expand(1, -1, heads, -1, -1).flatten(1, 2)

    def squares(t: Tensor) -> Tensor:
        if bottom or right:
            t = F.pad(t, (0, 0, 0, 0, 0, right, 0, bottom))
        if shift:
            t = t.roll((-shift, -shift), (1, 2))
        t = t.unflatten(2, (columns, window)).unflatten(1, (rows, window))
        return t.permute(0, 1, 3, 5, 2, 4, 6).reshape(t.shape[0], rows * columns * heads, window * window, -1)

    y = F.scaled_dot_product_attention(squares(q), squares(k), squares(v), attn_mask=mask)
    y = y.unflatten(2, (window, window)).unflatten(1, (rows, columns, heads))
    y = y.permute(0, 1, 4, 2, 5, 3, 6).flatten(3, 4).flatten(1, 2)
    if shift:
        y = y.roll((shift, shift), (1, 2))
    y = y[:, :h, :w]
    return y if gate is None else y * torch.sigmoid(gate)


def _mask(h: int, w: int, bottom: int, right: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Which tokens of a square see which: `squares window^2 window^2`, True where both are of one region."""
    region = _regions(h, bottom, window, shift, device)[:, None] * 4 + _regions(
        w, right, window, shift, device
    )
    region = (
        region.unflatten(1, (-1, window)).unflatten(0, (-1, window)).transpose(1, 2).flatten(2).flatten(0, 1)
    )
    return region[:, :, None] == region[:, None, :]


def _regions(size: int, pad: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Label of each place along one padded, rolled axis: 1 where the roll wrapped, 2 where it is padding."""
    place = (torch.arange(size + pad, device=device) + shift) % (size + pad)
    wrapped = torch.arange(size + pad, device=device) >= size + pad - shift
    return torch.where(place >= size, 2, wrapped.long())
