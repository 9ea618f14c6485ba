"""State-space duality: Mamba2's scan, any length, both directions, streaming."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from tween.core import TweenError
from tween.ops.ssd.fused import ssd_fused
from tween.ops.ssd.reference import ssd_chunked, ssd_recurrent

TRITON = find_spec("triton") is not None

__all__ = ["ssd", "ssd_chunked", "ssd_recurrent"]


def ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    chunk: int = 64,
    state: Tensor | None = None,
    reverse: bool = False,
    return_state: bool = False,
    impl: Literal["torch", "triton"] | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Mamba2's scan (Dao and Gu 2024): S_i = exp(dt_i A) S_(i-1) + dt_i x_i B_i^T, y_i = S_i C_i + D x_i.

    Args:
        x: `b l h p`, values per head, any l.
        dt: `b l h`, step sizes, already through softplus, >= 0 (0 leaves the state untouched).
        A: `h`, negative.
        B, C: `b l g n` or `b l n`; g groups divide the h heads.
        D: `h`, the skip, or None.
        chunk: tokens handled by one quadratic block.
        state: `b h p n` before the first token, None for zeros; with `reverse`, beyond the last one.
        reverse: scan from the last token to the first, without flipped copies.
        return_state: also give the state `b h p n` (fp32) after the scan's last token.
        impl: which code runs; None is Triton on CUDA where it is installed, else PyTorch.

    Returns:
        y `b l h p` in x's dtype, and the state where asked. Decays and states are never below fp32.

    Raises:
        TweenError: on shapes that do not fit together.
    """
    B, C = (t.unsqueeze(2) if t.ndim == 3 else t for t in (B, C))
    _check(x, dt, A, B, C, state)
    with torch.autocast(x.device.type, enabled=False):
        B, C = B.to(x.dtype), C.to(x.dtype)
        if impl == "triton" or (impl is None and TRITON and x.is_cuda and x.dtype != torch.float64):
            y, last = ssd_fused(x, dt, A, B, C, D, state, reverse, chunk)
        else:
            y, last = ssd_chunked(x, dt, A, B, C, chunk=chunk, state=state, reverse=reverse)
            y = y if D is None else y + D[:, None] * x
    return (y.to(x.dtype), last) if return_state else y.to(x.dtype)


def _check(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None) -> None:
    fits = x.ndim == B.ndim == 4 and B.shape == C.shape and B.shape[:2] == x.shape[:2]
    fits = fits and dt.shape == x.shape[:3] and A.shape == x.shape[2:3] and x.shape[2] % B.shape[2] == 0
    if not fits:
        named = {"x": x, "dt": dt, "A": A, "B": B, "C": C}
        got = ", ".join(f"{name} {tuple(t.shape)}" for name, t in named.items())
        raise TweenError(
            f"ssd needs x (b,l,h,p), dt (b,l,h), A (h), B and C (b,l,g,n) with g dividing h, but got {got}"
        )
    if state is not None and state.shape != (x.shape[0], *x.shape[2:], B.shape[3]):
        want = (x.shape[0], *x.shape[2:], B.shape[3])
        raise TweenError(f"ssd needs a state (b,h,p,n) = {want}, but got {tuple(state.shape)}")
