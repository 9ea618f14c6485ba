"""SSD on a GPU: the kernels as two opaque torch operators, so that autograd and torch.compile can use them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

FORWARD = {"num_warps": 4, "num_stages": 2}
BACKWARD = {"num_warps": 4, "num_stages": 1}
CHUNK = 64  # the largest tile whose products stay in registers
PROGRAMS = 512  # a sequence is cut into runs until about this many programs fill the GPU


def ssd_fused(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    state: Tensor | None,
    reverse: bool,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """Shapes as `ssd`, with B and C `b l g n` in x's dtype. y in x's dtype and the last state in fp32."""
    largest = CHUNK // 2 if x.dtype == torch.float32 else CHUNK
    chunk = min(largest, max(16, 1 << (chunk.bit_length() - 1)))  # a power of two
    dt, A = dt.float(), A.float()
    D = torch.zeros_like(A) if D is None else D.float()
    if state is None:
        state = x.new_zeros(x.shape[0], *x.shape[2:], B.shape[3], dtype=torch.float32)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x, dt, A, B, C, D, state))
    y, last, _ = _forward(x, dt, A, B, C, D, state.float(), reverse, chunk, keep)
    return y, last


@torch.library.custom_op("tween::ssd_forward", mutates_args=())
def _forward(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    state: Tensor,
    reverse: bool,
    chunk: int,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the last state, and with `keep` the state before each chunk."""
    from tween.ops.ssd import kernel

    x, B, C = map(_rows, (x, B, C))
    dt, A, D, state = (t.contiguous() for t in (dt, A, D, state))
    launch = _Launch(x, B, chunk)
    entry = launch.entries(x, dt, A, B, state, reverse=reverse, adjoint=False)
    y, after = x.new_empty(x.shape), torch.empty_like(entry)
    states = x.new_empty(_states_shape(x, B, chunk) if keep else 0)
    arguments = (x, dt, A, B, C, D, entry, y, states, after, *_strides(x, B, C), *launch.sizes)
    kernel.forward[launch.grid](*arguments, **launch.constants, REVERSE=reverse, KEEP=keep, **FORWARD)
    return y, after[:, 0 if reverse else -1].clone(), states


@torch.library.custom_op("tween::ssd_backward", mutates_args=())
def _backward(
    dy: Tensor, dlast: Tensor, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, states: Tensor,
    reverse: bool, chunk: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of x, dt, A, B, C, D and the state."""
    from tween.ops.ssd import kernel

    x, B, C = map(_rows, (x, B, C))
    dy, dlast, dt, A, D = (t.contiguous() for t in (dy, dlast, dt, A, D))
    launch = _Launch(x, B, chunk)
    entry = launch.entries(dy, dt, A, C, dlast, reverse=reverse, adjoint=True)
    dx, ddt, after = x.new_empty(x.shape), torch.empty_like(dt), torch.empty_like(entry)
    dB, dC = (x.new_empty(*x.shape[:3], B.shape[3]) for _ in "BC")
    dA, dD = A.new_empty(2, x.shape[0], launch.runs, x.shape[2])
    arguments = (x, dt, A, B, C, D, dy, states, entry, dx, ddt, dB, dC, dA, dD, after)
    arguments += (*_strides(x, B, C), *launch.sizes)
    kernel.backward[launch.grid](*arguments, **launch.constants, REVERSE=reverse, **BACKWARD)
    if B.shape[2] < x.shape[2]:
        dB, dC = (t.unflatten(2, (B.shape[2], -1)).sum(3) for t in (dB, dC))
    return dx, ddt, dA.sum((0, 1)), dB, dC, dD.sum((0, 1)), after[:, -1 if reverse else 0].clone()


def _rows(t: Tensor) -> Tensor:
    """`b l heads dim` as the kernels read it: tokens at one distance throughout, each token's values side by side."""
    whole = t.stride(3) == 1 and t.stride(2) == t.shape[3] and t.stride(0) == t.shape[1] * t.stride(1)
    return t if whole else t.contiguous()


def _strides(*tensors: Tensor) -> tuple[int, ...]:
    """Elements from one token to the next."""
    return tuple(t.stride(1) for t in tensors)


def _cut(sequences: int, length: int, chunk: int) -> tuple[int, int]:
    """How many runs a sequence is cut into, and chunks in each."""
    chunks = -(-length // chunk)
    per = -(-chunks // min(chunks, -(-PROGRAMS // sequences)))
    return -(-chunks // per), per


def _states_shape(x: Tensor, B: Tensor, chunk: int) -> tuple[int, ...]:
    (b, length, h, p), n = x.shape, B.shape[3]
    runs, per = _cut(b * h, length, chunk)
    return b, runs * per, h, p, n


class _Launch:
    """What every launch over one set of shapes shares."""

    def __init__(self, x: Tensor, B: Tensor, chunk: int) -> None:
        (b, length, h, p), (g, n) = x.shape, B.shape[2:]
        self.runs, per = _cut(b * h, length, chunk)
        self.grid = (b * h * self.runs,)
        self.sizes = (length, h, h // g, self.runs, per)
        blocks = {f"B{name}": max(16, 1 << (size - 1).bit_length()) for name, size in (("P", p), ("N", n))}
        precision = "tf32x3" if x.dtype == torch.float32 else "tf32"
        self.constants: dict[str, Any] = {"P": p, "N": n, **blocks, "Q": chunk, "PRECISION": precision}

    def entries(
        self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, first: Tensor, *, reverse: bool, adjoint: bool
    ) -> Tensor:
        """The state each run starts from, `b runs h p n`, in the direction walked; `first` is before them all."""
        from tween.ops.ssd import kernel

        if self.runs == 1:
            return first[:, None].float()
        b, h, p, n = first.shape
        own, decay = first.new_empty(b, self.runs, h, p, n), first.new_empty(b, self.runs, h)
        entry = torch.empty_like(own)
        flags = {"REVERSE": reverse, "ADJOINT": adjoint}
        rows = _strides(x, B)
        kernel.carry[self.grid](
            x, dt, A, B, own, decay, *rows, *self.sizes, **self.constants, **flags, **FORWARD
        )
        grid = (b * h, -(-p * n // 1024))
        kernel.pass_on[grid](
            own, decay, first, entry, h, self.runs, p * n, WIDE=1024, BACK=reverse != adjoint
        )
        return entry


@_forward.register_fake
def _(x, dt, A, B, C, D, state, reverse, chunk, keep):
    states = x.new_empty(_states_shape(x, B, chunk) if keep else 0)
    return torch.empty_like(x, memory_format=torch.contiguous_format), torch.empty_like(state), states


@_backward.register_fake
def _(dy, dlast, x, dt, A, B, C, D, states, reverse, chunk):
    return tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, dt, A, B, C, D, dlast)
    )


def _setup(ctx, inputs, output) -> None:
    x, dt, A, B, C, D, _, ctx.reverse, ctx.chunk, _ = inputs
    ctx.save_for_backward(x, dt, A, B, C, D, output[2])


def _gradients(ctx, dy, dlast, _):
    return *_backward(dy, dlast, *ctx.saved_tensors, ctx.reverse, ctx.chunk), None, None, None


_forward.register_autograd(_gradients, setup_context=_setup)
