"""Mamba1's scan on a GPU: the kernels as two opaque torch operators, for autograd and torch.compile."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

TRITON = find_spec("triton") is not None
TOKENS, CHANNELS = 16, 16  # a program's tile


def selective_scan_fused(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, reverse: bool
) -> Tensor:
    """Shapes as `selective_scan`; y in u's dtype."""
    delta, A = delta.float(), A.float()
    D = A.new_zeros(A.shape[0]) if D is None else D.float()
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (u, delta, A, B, C, D))
    return _forward(u, delta, A, B, C, D, reverse, keep)[0]


@torch.library.custom_op("tween::selective_scan_forward", mutates_args=())
def _forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, reverse: bool, keep: bool
) -> tuple[Tensor, Tensor]:
    """y, and with `keep` the state before each tile of tokens."""
    from tween.ops.selective_scan import kernel

    u, delta, A, B, C, D = (t.contiguous() for t in (u, delta, A, B, C, D))
    y, states = torch.empty_like(u), u.new_empty(_states_shape(u, A) if keep else 0, dtype=torch.float32)
    b, length, d = u.shape
    sizes = (length, d, _tiles(length))
    flags = {"REVERSE": reverse, "KEEP": keep}
    kernel.forward[(b, -(-d // CHANNELS))](u, delta, A, B, C, D, y, states, *sizes, **_constants(A), **flags)
    return y, states


@torch.library.custom_op("tween::selective_scan_backward", mutates_args=())
def _backward(
    dy: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    states: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, delta, A, B, C and D."""
    from tween.ops.selective_scan import kernel

    dy, u, delta, A, B, C, D = (t.contiguous() for t in (dy, u, delta, A, B, C, D))
    (b, length, d), n, blocks = u.shape, A.shape[1], -(-u.shape[2] // CHANNELS)
    du, ddelta, dA, dD = torch.empty_like(u), torch.empty_like(delta), A.new_empty(b, d, n), A.new_empty(b, d)
    dB, dC = A.new_empty(2, b, length, blocks, _constants(A)["BN"])
    arguments = (
        u,
        delta,
        A,
        B,
        C,
        D,
        dy,
        states,
        du,
        ddelta,
        dA,
        dB,
        dC,
        dD,
        length,
        d,
        _tiles(length),
        blocks,
    )
    kernel.backward[(b, blocks)](*arguments, **_constants(A), REVERSE=reverse)
    dB, dC = (t.sum(2)[..., :n].contiguous() for t in (dB, dC))
    return du, ddelta, dA.sum(0), dB.to(B.dtype), dC.to(C.dtype), dD.sum(0)


def _tiles(length: int) -> int:
    return -(-length // TOKENS)


def _states_shape(u: Tensor, A: Tensor) -> tuple[int, ...]:
    return u.shape[0], _tiles(u.shape[1]), *A.shape


def _constants(A: Tensor) -> dict[str, int]:
    return {"N": A.shape[1], "BN": 1 << (A.shape[1] - 1).bit_length(), "W": CHANNELS, "T": TOKENS}


@_forward.register_fake
def _(u, delta, A, B, C, D, reverse, keep):
    states = u.new_empty(_states_shape(u, A) if keep else 0, dtype=torch.float32)
    return torch.empty_like(u, memory_format=torch.contiguous_format), states


@_backward.register_fake
def _(dy, u, delta, A, B, C, D, states, reverse):
    return tuple(torch.empty_like(t, memory_format=torch.contiguous_format) for t in (u, delta, A, B, C, D))


def _setup(ctx, inputs, output) -> None:
    *tensors, ctx.reverse, _ = inputs
    ctx.save_for_backward(*tensors, output[1])


def _gradients(ctx, dy, _):
    return *_backward(dy, *ctx.saved_tensors, ctx.reverse), None, None


_forward.register_autograd(_gradients, setup_context=_setup)
