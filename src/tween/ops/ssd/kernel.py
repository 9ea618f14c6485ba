"""SSD in Triton: one program walks a run of chunks of one head with the state in registers.

`carry` and `pass_on` give the state each run starts from (where a sequence is cut into runs to fill the GPU),
`forward` the values, `backward` every gradient from the states `forward` kept. Every offset is 64-bit; tensors are
contiguous, but that x, B and C may be columns of wider rows, which one convolution left side by side.

Letters: q tokens of a chunk, i and j tokens in it, s_i the log decay from the chunk's entry up to and with token i in
the direction of the scan, S the state, G its gradient, `past[i, j]` true where token j is read no later than i.
"""

import triton
import triton.language as tl


@triton.jit
def _tile(ptr, batch, head, chunk, L, row, dim: tl.constexpr, Q: tl.constexpr, WIDE: tl.constexpr):
    """Pointers and mask of a tile q x WIDE of a tensor `b l heads dim`, `row` elements from a token to the next: a
    64-bit base, small 32-bit steps."""
    i, j = tl.arange(0, Q), tl.arange(0, WIDE)
    base = ptr + (batch * L + chunk * Q) * row + head * dim
    return base + (i[:, None] * row + j[None, :]), (i < L - chunk * Q)[:, None] & (j < dim)[None, :]


@triton.jit
def _state(ptr, row, P: tl.constexpr, N: tl.constexpr, BP: tl.constexpr, BN: tl.constexpr):
    """Pointers and mask of the state number `row` of a tensor `rows p n`."""
    i, j = tl.arange(0, BP), tl.arange(0, BN)
    return ptr + row * (P * N) + (i[:, None] * N + j[None, :]), (i < P)[:, None] & (j < N)[None, :]


@triton.jit
def _load_tile(ptr, batch, head, chunk, L, row, dim: tl.constexpr, Q: tl.constexpr, WIDE: tl.constexpr):
    at, inside = _tile(ptr, batch, head, chunk, L, row, dim, Q, WIDE)
    return tl.load(at, mask=inside, other=0.0)


@triton.jit
def _store_tile(
    ptr, value, batch, head, chunk, L, row, dim: tl.constexpr, Q: tl.constexpr, WIDE: tl.constexpr
):
    at, inside = _tile(ptr, batch, head, chunk, L, row, dim, Q, WIDE)
    tl.store(at, value.to(ptr.dtype.element_ty), mask=inside)


@triton.jit
def _load_state(ptr, row, P: tl.constexpr, N: tl.constexpr, BP: tl.constexpr, BN: tl.constexpr):
    at, inside = _state(ptr, row, P, N, BP, BN)
    return tl.load(at, mask=inside, other=0.0)


@triton.jit
def _store_state(ptr, value, row, P: tl.constexpr, N: tl.constexpr, BP: tl.constexpr, BN: tl.constexpr):
    at, inside = _state(ptr, row, P, N, BP, BN)
    tl.store(at, value.to(ptr.dtype.element_ty), mask=inside)


@triton.jit
def _decays(dt_ptr, A_ptr, batch, head, chunk, L, H, Q: tl.constexpr, REVERSE: tl.constexpr):
    """dt, A, s, the chunk's total, the decay between any two tokens, and `past`. dt = 0 beyond the end: no effect."""
    i = tl.arange(0, Q)
    at = dt_ptr + (batch * L + chunk * Q) * H + head + i * H
    dt = tl.load(at, mask=i < L - chunk * Q, other=0.0).to(tl.float32)
    A = tl.load(A_ptr + head).to(tl.float32)
    past = (i[:, None] <= i[None, :]) if REVERSE else (i[:, None] >= i[None, :])
    a = dt * A
    s = tl.sum(tl.where(past, a[None, :], 0.0), 1)
    between = tl.exp(tl.where(past, s[:, None] - s[None, :], float("-inf")))
    return dt, A, s, tl.sum(a, 0), between, past


@triton.jit
def _place(program, runs, H):
    """(batch, head, run) of a program; 64-bit, and so is every offset made of them."""
    program = program.to(tl.int64)
    return program // (runs * H), (program // runs) % H, program % runs


@triton.jit
def carry(
    x_ptr, dt_ptr, A_ptr, B_ptr, own_ptr, decay_ptr, x_row, B_row, L, H, ratio, runs, per,
    P: tl.constexpr, N: tl.constexpr, BP: tl.constexpr, BN: tl.constexpr, Q: tl.constexpr,
    REVERSE: tl.constexpr, ADJOINT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """End state of each run from zero (`b runs h p n`) and its log decay (`b runs h`).

    ADJOINT walks against the scan with x and B standing for dy and C: the gradient that reaches the run's entry.
    """
    batch, head, run = _place(tl.program_id(0), runs, H)
    S = tl.zeros((BP, BN), tl.float32)
    decay = 0.0
    for k in range(per):
        chunk = run * per + ((per - 1 - k) if REVERSE != ADJOINT else k)
        dt, _, s, total, _, _ = _decays(dt_ptr, A_ptr, batch, head, chunk, L, H, Q, REVERSE)
        x = _load_tile(x_ptr, batch, head, chunk, L, x_row, P, Q, BP)
        B = _load_tile(B_ptr, batch, head // ratio, chunk, L, B_row, N, Q, BN)
        weight = tl.exp(s) if ADJOINT else tl.exp(total - s) * dt
        S = tl.exp(total) * S + tl.dot(
            tl.trans((weight[:, None] * x).to(B.dtype)), B, input_precision=PRECISION
        )
        decay += total
    row = (batch * runs + run) * H + head
    _store_state(own_ptr, S, row, P, N, BP, BN)
    tl.store(decay_ptr + row, decay)


@triton.jit
def pass_on(own_ptr, decay_ptr, first_ptr, entry_ptr, H, runs, size, WIDE: tl.constexpr, BACK: tl.constexpr):
    """The state each run starts from (`b runs h size`), run after run, from `first` (`b h size`)."""
    program = tl.program_id(0).to(tl.int64)
    batch, head = program // H, program % H
    i = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    S = tl.load(first_ptr + program * size + i, mask=i < size, other=0.0)
    for k in range(runs):
        row = (batch * runs + ((runs - 1 - k) if BACK else k)) * H + head
        tl.store(entry_ptr + row * size + i, S, mask=i < size)
        S = tl.exp(tl.load(decay_ptr + row)) * S + tl.load(own_ptr + row * size + i, mask=i < size, other=0.0)


@triton.jit
def forward(
    x_ptr, dt_ptr, A_ptr, B_ptr, C_ptr, D_ptr, entry_ptr, y_ptr, states_ptr, exit_ptr,
    x_row, B_row, C_row, L, H, ratio, runs, per,
    P: tl.constexpr, N: tl.constexpr, BP: tl.constexpr, BN: tl.constexpr, Q: tl.constexpr,
    REVERSE: tl.constexpr, KEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """y, the state after each run, and with KEEP the state before each chunk (`b runs*per h p n`)."""
    batch, head, run = _place(tl.program_id(0), runs, H)
    row = (batch * runs + run) * H + head
    S = _load_state(entry_ptr, row, P, N, BP, BN)
    D = tl.load(D_ptr + head).to(tl.float32)
    for k in range(per):
        chunk = run * per + ((per - 1 - k) if REVERSE else k)
        dt, _, s, total, between, _ = _decays(dt_ptr, A_ptr, batch, head, chunk, L, H, Q, REVERSE)
        x = _load_tile(x_ptr, batch, head, chunk, L, x_row, P, Q, BP)
        B = _load_tile(B_ptr, batch, head // ratio, chunk, L, B_row, N, Q, BN)
        C = _load_tile(C_ptr, batch, head // ratio, chunk, L, C_row, N, Q, BN)

        kept = S.to(x.dtype)
        if KEEP:
            _store_state(states_ptr, kept, (batch * runs * per + chunk) * H + head, P, N, BP, BN)
        M = tl.dot(C, tl.trans(B), input_precision=PRECISION) * between * dt[None, :]
        y = tl.dot(M.to(x.dtype), x, input_precision=PRECISION)
        y += tl.exp(s)[:, None] * tl.dot(C, tl.trans(kept), input_precision=PRECISION)
        _store_tile(y_ptr, y + D * x, batch, head, chunk, L, H * P, P, Q, BP)
        weighted = ((tl.exp(total - s) * dt)[:, None] * x).to(x.dtype)
        S = tl.exp(total) * S + tl.dot(tl.trans(weighted), B, input_precision=PRECISION)
    _store_state(exit_ptr, S, row, P, N, BP, BN)


@triton.jit
def backward(
    x_ptr, dt_ptr, A_ptr, B_ptr, C_ptr, D_ptr, dy_ptr, states_ptr, entry_ptr,
    dx_ptr, ddt_ptr, dB_ptr, dC_ptr, dA_ptr, dD_ptr, exit_ptr, x_row, B_row, C_row, L, H, ratio, runs, per,
    P: tl.constexpr, N: tl.constexpr, BP: tl.constexpr, BN: tl.constexpr, Q: tl.constexpr,
    REVERSE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Every gradient; walks against the scan with G, the gradient of the state behind the chunk, in registers.

    dB and dC are per head (`b l h n`), dA and dD per run (`b runs h`); `entry` and `exit` are G at the run's ends.
    """
    batch, head, run = _place(tl.program_id(0), runs, H)
    row = (batch * runs + run) * H + head
    G = _load_state(entry_ptr, row, P, N, BP, BN)
    D = tl.load(D_ptr + head).to(tl.float32)
    dA = 0.0
    dD = 0.0
    for k in range(per):
        chunk = run * per + (k if REVERSE else (per - 1 - k))
        dt, A, s, total, between, past = _decays(dt_ptr, A_ptr, batch, head, chunk, L, H, Q, REVERSE)
        x = _load_tile(x_ptr, batch, head, chunk, L, x_row, P, Q, BP)
        dy = _load_tile(dy_ptr, batch, head, chunk, L, H * P, P, Q, BP)
        B = _load_tile(B_ptr, batch, head // ratio, chunk, L, B_row, N, Q, BN)
        C = _load_tile(C_ptr, batch, head // ratio, chunk, L, C_row, N, Q, BN)
        S = _load_state(states_ptr, (batch * runs * per + chunk) * H + head, P, N, BP, BN)

        # through the states at the chunk's two ends; a log decay is felt by every pair of tokens on its two sides
        dC = tl.exp(s)[:, None] * tl.dot(dy, S, input_precision=PRECISION)
        arrives = tl.sum(C * dC, 1)
        across = tl.exp(total) * tl.sum(G * S)
        g = G.to(x.dtype)
        into = tl.exp(total - s)
        dB = (into * dt)[:, None] * tl.dot(x, g, input_precision=PRECISION)
        leaves = tl.sum(B * dB, 1)
        across += tl.sum(leaves, 0)
        weighted = (tl.exp(s)[:, None] * dy).to(x.dtype)
        G = tl.exp(total) * G + tl.dot(tl.trans(weighted), C, input_precision=PRECISION)
        u = into[:, None] * tl.dot(B, tl.trans(g), input_precision=PRECISION)

        # within the chunk; K is the gradient of C B^T
        M = tl.dot(C, tl.trans(B), input_precision=PRECISION) * between
        u += tl.dot(tl.trans(M.to(x.dtype)), dy, input_precision=PRECISION)
        _store_tile(dx_ptr, dt[:, None] * u + D * dy, batch, head, chunk, L, H * P, P, Q, BP)
        direct = tl.sum(x * u, 1)
        K = tl.dot(dy, tl.trans(x), input_precision=PRECISION) * dt[None, :]
        W = M * K
        arrives += tl.sum(W, 1)
        leaves += tl.sum(W, 0)
        K = (K * between).to(x.dtype)
        dC += tl.dot(K, B, input_precision=PRECISION)
        _store_tile(dC_ptr, dC, batch, head, chunk, L, H * N, N, Q, BN)
        dB += tl.dot(tl.trans(K), C, input_precision=PRECISION)
        _store_tile(dB_ptr, dB, batch, head, chunk, L, H * N, N, Q, BN)

        da = tl.sum(tl.where(past, (arrives - leaves)[:, None], 0.0), 0) + across
        i = tl.arange(0, Q)
        at = ddt_ptr + (batch * L + chunk * Q) * H + head + i * H
        tl.store(at, direct + A * da, mask=i < L - chunk * Q)
        dA += tl.sum(da * dt, 0)
        dD += tl.sum(tl.sum(x.to(tl.float32) * dy, 1), 0)
    tl.store(dA_ptr + row, dA)
    tl.store(dD_ptr + row, dD)
    _store_state(exit_ptr, G, row, P, N, BP, BN)
