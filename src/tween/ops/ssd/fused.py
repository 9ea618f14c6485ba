"""SSD on a GPU: the kernels as two opaque torch operators, so that autograd and torch.compile can use them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# registers a thread may have: what fits 2, 4 and 3 programs on a multiprocessor of 65,536
FORWARD = {"num_warps": 4, "num_stages": 2, "maxnreg": 255}
CARRY = {"num_warps": 4, "num_stages": 2, "maxnreg": 128}
BACKWARD = {"num_warps": 4, "num_stages": 1, "maxnreg": 168}
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
    entry = launch.entries(x, dt, A, B, state, reverse)
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
    kept, since, entry, dstate = launch.gradients(dy, dt, A, C, dlast, reverse)
    dx, ddt = x.new_empty(x.shape), torch.empty_like(dt)
    dB, dC = (x.new_empty(*x.shape[:3], B.shape[3]) for _ in "BC")
    dA, dD = (torch.empty_like(since) for _ in "AD")
    arguments = (x, dt, A, B, C, D, dy, states, kept, since, entry, dx, ddt, dB, dC, dA, dD)
    arguments += (*_strides(x, B, C), *launch.sizes)
    kernel.backward[since.numel(),](*arguments, **launch.constants, REVERSE=reverse, **BACKWARD)
    if B.shape[2] < x.shape[2]:
        dB, dC = (t.unflatten(2, (B.shape[2], -1)).sum(3) for t in (dB, dC))
    return dx, ddt, dA.sum((0, 1)), dB, dC, dD.sum((0, 1)), dstate


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
        self.grid, self.chunks = (b * h * self.runs,), self.runs * per
        self.sizes = (length, h, h // g, self.runs, per)
        blocks = {f"B{name}": max(16, 1 << (size - 1).bit_length()) for name, size in (("P", p), ("N", n))}
        precision = "tf32x3" if x.dtype == torch.float32 else "tf32"
        self.constants: dict[str, Any] = {"P": p, "N": n, **blocks, "Q": chunk, "PRECISION": precision}

    def entries(self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, first: Tensor, reverse: bool) -> Tensor:
        """The state each run starts from, `b runs h p n`, if `first` is before them all."""
        if self.runs == 1:
            return first[:, None]
        unused = first.new_empty(0)
        return self._walk(x, dt, A, B, first, unused, unused, reverse=reverse, adjoint=False)[0]

    def gradients(
        self, dy: Tensor, dt: Tensor, A: Tensor, C: Tensor, dlast: Tensor, reverse: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """G behind each chunk in two parts, and the gradient of the first state: what reaches the chunk from within its
        run (`b chunks h p n`), the log decay since the run's entry (`b chunks h`), G there (`b runs h p n`)."""
        b, h, p, n = dlast.shape
        since = dlast.new_empty(b, self.chunks, h)
        kept = dy.new_empty(*since.shape, p, n)
        return kept, since, *self._walk(dy, dt, A, C, dlast, kept, since, reverse=reverse, adjoint=True)

    def _walk(
        self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, first: Tensor, kept: Tensor, since: Tensor,
        *, reverse: bool, adjoint: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The state each run starts from in the direction walked, in kept's dtype, and the one behind them all."""
        from tween.ops.ssd import kernel

        b, h, p, n = first.shape
        own, decay = first.new_empty(b, self.runs, h, p, n), first.new_empty(b, self.runs, h)
        entry, last = torch.empty_like(own, dtype=kept.dtype), torch.empty_like(first)
        arguments = (x, dt, A, B, own, decay, kept, since, *_strides(x, B), *self.sizes)
        kernel.carry[self.grid](*arguments, **self.constants, REVERSE=reverse, ADJOINT=adjoint, **CARRY)
        grid = (b * h, -(-p * n // 1024))
        arguments = (own, decay, first, entry, last, h, self.runs, p * n)
        kernel.pass_on[grid](*arguments, WIDE=1024, BACK=reverse != adjoint)
        return entry, last


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
    ctx.set_materialize_grads(False)  # or zeros as large as all the states are written


def _gradients(ctx, dy, dlast, _):
    x, _, _, B, *_ = ctx.saved_tensors
    dy = torch.zeros_like(x) if dy is None else dy
    if dlast is None:
        dlast = x.new_zeros(x.shape[0], *x.shape[2:], B.shape[3], dtype=torch.float32)
    return *_backward(dy, dlast, *ctx.saved_tensors, ctx.reverse, ctx.chunk), None, None, None


_forward.register_autograd(_gradients, setup_context=_setup)
