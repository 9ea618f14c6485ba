"""Mamba1's selective scan, kept for its ablation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from tween.core import TweenError
from tween.ops.selective_scan.fused import TRITON, selective_scan_fused
from tween.ops.selective_scan.reference import selective_scan_chunked, selective_scan_recurrent

__all__ = ["selective_scan", "selective_scan_chunked", "selective_scan_recurrent"]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    reverse: bool = False,
    chunk: int = 64,
    impl: Literal["torch", "triton"] | None = None,
) -> Tensor:
    """Mamba1's scan (Gu, Dao 2023): S_i = exp(delta_i A) S_(i-1) + delta_i u_i B_i^T, y_i = S_i C_i + D u_i.

    Args:
        u, delta: `b l d`; delta is already through softplus.
        A: `d n`, negative. B, C: `b l n`. D: `d` or None.
        reverse: scan from the last token to the first, without flipped copies.
        chunk: tokens stepped through while all chunks go side by side (PyTorch only).
        impl: which code runs; None is Triton on CUDA where it is installed, else PyTorch.

    Returns:
        `b l d` in u's dtype; the state is fp32 whatever the inputs are.

    Raises:
        TweenError: on shapes that do not fit together.
    """
    if (
        delta.shape != u.shape
        or A.shape != (u.shape[2], B.shape[2])
        or B.shape != C.shape
        or B.shape[:2] != u.shape[:2]
    ):
        got = ", ".join(
            f"{k} {tuple(t.shape)}"
            for k, t in zip(("u", "delta", "A", "B", "C"), (u, delta, A, B, C), strict=True)
        )
        raise TweenError(f"selective_scan needs u, delta (b,l,d), A (d,n), B and C (b,l,n), but got {got}")
    with torch.autocast(u.device.type, enabled=False):
        if impl == "triton" or (impl is None and TRITON and u.is_cuda and u.dtype != torch.float64):
            return selective_scan_fused(u, delta, A, B, C, D, reverse)
        y = selective_scan_chunked(u, delta, A, B, C, chunk=chunk, reverse=reverse)
        y = y if D is None else y + D * u
    return y.to(u.dtype)
