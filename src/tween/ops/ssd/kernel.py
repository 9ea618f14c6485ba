"""SSD in Triton. Where chunks wait for one another, one program walks a run of chunks of one head with the state in
registers; where they do not, in `backward`, every chunk is a program of its own.

`carry` and `pass_on` give the state each run starts from (where a sequence is cut into runs to fill the GPU),
`forward` the values and the state before each chunk. The way back is `carry` and `pass_on` against the scan, then
`backward`. Every offset is 64-bit; tensors are contiguous, but that x, B and C may be columns of wider rows, which one
convolution left side by side.

Letters: q tokens of a chunk, i and j tokens in it, s_i the log decay from the chunk's entry up to and with token i in
the direction of the scan, S the state, G its gradient.
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
    """dt, A, s and the chunk's total. dt = 0 beyond the end: no effect."""
    i = tl.arange(0, Q)
    at = dt_ptr + (batch * L + chunk * Q) * H + head + i * H
    dt = tl.load(at, mask=i < L - chunk * Q, other=0.0).to(tl.float32)
    A = tl.load(A_ptr + head).to(tl.float32)
    return dt, A, tl.cumsum(dt * A, 0, reverse=REVERSE), tl.sum(dt * A, 0)


@triton.jit
def _between(s, Q: tl.constexpr, REVERSE: tl.constexpr, BY_WRITER: tl.constexpr):
    """q x q, the decay from the token written to the one that reads it, 0 where that is earlier. A row is a reader, or
    BY_WRITER a writer."""
    i = tl.arange(0, Q)
    past = (i[:, None] <= i[None, :]) if REVERSE != BY_WRITER else (i[:, None] >= i[None, :])
    steps = (s[None, :] - s[:, None]) if BY_WRITER else (s[:, None] - s[None, :])
    return tl.exp(tl.where(past, steps, float("-inf")))


@triton.jit
def _place(program, inner, outer):
    """(batch, outer, inner) number of a program, (batch, head, run) for one; 64-bit, and so is every offset made of
    them."""
    program = program.to(tl.int64)
    return program // (inner * outer), (program // inner) % outer, program % inner


@triton.jit
def carry(
    x_ptr, dt_ptr, A_ptr, B_ptr, own_ptr, decay_ptr, kept_ptr, since_ptr, x_row, B_row, L, H, ratio, runs, per,
    P: tl.constexpr, N: tl.constexpr, BP: tl.constexpr, BN: tl.constexpr, Q: tl.constexpr,
    REVERSE: tl.constexpr, ADJOINT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """End state of each run from zero (`b runs h p n`) and its log decay (`b runs h`).

    ADJOINT walks against the scan with x and B standing for dy and C: the gradient that reaches the run's entry. It
    keeps that behind each chunk (`b runs*per h p n`) and the log decay since the run's first (`b runs*per h`).
    """
    batch, head, run = _place(tl.program_id(0), runs, H)
    S = tl.zeros((BP, BN), tl.float32)
    decay = 0.0
    for k in range(per):
        chunk = run * per + ((per - 1 - k) if REVERSE != ADJOINT else k)
        dt, _, s, total = _decays(dt_ptr, A_ptr, batch, head, chunk, L, H, Q, REVERSE)
        x = _load_tile(x_ptr, batch, head, chunk, L, x_row, P, Q, BP)
        B = _load_tile(B_ptr, batch, head // ratio, chunk, L, B_row, N, Q, BN)
        if ADJOINT:
            row = (batch * runs * per + chunk) * H + head
            _store_state(kept_ptr, S, row, P, N, BP, BN)
            tl.store(since_ptr + row, decay)
        weight = tl.exp(s) if ADJOINT else tl.exp(total - s) * dt
        S = tl.exp(total) * S + tl.dot(
            tl.trans((weight[:, None] * x).to(B.dtype)), B, input_precision=PRECISION
        )
        decay += total
    row = (batch * runs + run) * H + head
    _store_state(own_ptr, S, row, P, N, BP, BN)
    tl.store(decay_ptr + row, decay)


@triton.jit
def pass_on(
    own_ptr, decay_ptr, first_ptr, entry_ptr, last_ptr, H, runs, size, WIDE: tl.constexpr, BACK: tl.constexpr
):
    """The state each run starts from (`b runs h size`) and the one behind them all, from `first` (`b h size`)."""
    program = tl.program_id(0).to(tl.int64)
    batch, head = program // H, program % H
    i = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    S = tl.load(first_ptr + program * size + i, mask=i < size, other=0.0)
    for k in range(runs):
        row = (batch * runs + ((runs - 1 - k) if BACK else k)) * H + head
        tl.store(entry_ptr + row * size + i, S.to(entry_ptr.dtype.element_ty), mask=i < size)
        S = tl.exp(tl.load(decay_ptr + row)) * S + tl.load(own_ptr + row * size + i, mask=i < size, other=0.0)
    tl.store(last_ptr + program * size + i, S, mask=i < size)


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
        dt, _, s, total = _decays(dt_ptr, A_ptr, batch, head, chunk, L, H, Q, REVERSE)
        x = _load_tile(x_ptr, batch, head, chunk, L, x_row, P, Q, BP)
        B = _load_tile(B_ptr, batch, head // ratio, chunk, L, B_row, N, Q, BN)
        C = _load_tile(C_ptr, batch, head // ratio, chunk, L, C_row, N, Q, BN)

        kept = S.to(x.dtype)
        if KEEP:
            _store_state(states_ptr, kept, (batch * runs * per + chunk) * H + head, P, N, BP, BN)
        M = tl.dot(C, tl.trans(B), input_precision=PRECISION) * dt[None, :]
        M *= _between(s, Q, REVERSE, False)
        y = tl.dot(M.to(x.dtype), x, input_precision=PRECISION)
        y += tl.exp(s)[:, None] * tl.dot(C, tl.trans(kept), input_precision=PRECISION)
        _store_tile(y_ptr, y + D * x, batch, head, chunk, L, H * P, P, Q, BP)
        weighted = ((tl.exp(total - s) * dt)[:, None] * x).to(x.dtype)
        S = tl.exp(total) * S + tl.dot(tl.trans(weighted), B, input_precision=PRECISION)
    _store_state(exit_ptr, S, row, P, N, BP, BN)


@triton.jit
def backward(
    x_ptr, dt_ptr, A_ptr, B_ptr, C_ptr, D_ptr, dy_ptr, states_ptr, kept_ptr, since_ptr, entry_ptr,
    dx_ptr, ddt_ptr, dB_ptr, dC_ptr, dA_ptr, dD_ptr, x_row, B_row, C_row, L, H, ratio, runs, per,
    P: tl.constexpr, N: tl.constexpr, BP: tl.constexpr, BN: tl.constexpr, Q: tl.constexpr,
    REVERSE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Every gradient of one chunk, from the state S before it and G, the gradient of the state behind it.

    G is what `carry` kept, from within the run, and what is left of the gradient at the run's `entry`. dB and dC are
    per head (`b l h n`), dA and dD per chunk (`b runs*per h`). Registers are what is short: each gradient is finished
    and stored before the next, and dy and C are loaded again rather than held.
    """
    batch, chunk, head = _place(tl.program_id(0), H, runs * per)
    row = (batch * runs * per + chunk) * H + head
    x = _load_tile(x_ptr, batch, head, chunk, L, x_row, P, Q, BP)
    dy = _load_tile(dy_ptr, batch, head, chunk, L, H * P, P, Q, BP)
    B = _load_tile(B_ptr, batch, head // ratio, chunk, L, B_row, N, Q, BN)
    C = _load_tile(C_ptr, batch, head // ratio, chunk, L, C_row, N, Q, BN)
    S = _load_state(states_ptr, row, P, N, BP, BN)
    G = _load_state(entry_ptr, (batch * runs + chunk // per) * H + head, P, N, BP, BN)
    G = _load_state(kept_ptr, row, P, N, BP, BN) + tl.exp(tl.load(since_ptr + row)) * G
    dt, A, s, total = _decays(dt_ptr, A_ptr, batch, head, chunk, L, H, Q, REVERSE)
    across = tl.exp(total) * tl.sum(G * S)
    G = G.to(S.dtype)

    # within the chunk: W[j, i] is what token i reads of token j, K the gradient of B C^T
    between = _between(s, Q, REVERSE, True)
    K = tl.dot(x, tl.trans(dy), input_precision=PRECISION)
    M = tl.dot(B, tl.trans(C), input_precision=PRECISION) * between
    W = K * M
    written = tl.sum(W, 1)
    reads = tl.sum(W * dt[:, None], 0)
    i = tl.arange(0, Q)
    tl.store(dD_ptr + row, tl.sum(tl.where(i[:, None] == i[None, :], K, 0.0)))
    K = (K * between * dt[:, None]).to(x.dtype)
    M = M.to(x.dtype)

    # with what passes through the states at its two ends
    into = tl.exp(total - s)
    dB = (into * dt)[:, None] * tl.dot(x, G, input_precision=PRECISION)
    dB += tl.dot(K, C, input_precision=PRECISION)
    _store_tile(dB_ptr, dB, batch, head, chunk, L, H * N, N, Q, BN)

    dy = _load_tile(dy_ptr, batch, head, chunk, L, H * P, P, Q, BP)
    u = into[:, None] * tl.dot(B, tl.trans(G), input_precision=PRECISION)
    leaves = tl.sum(x * u, 1)
    u += tl.dot(M, dy, input_precision=PRECISION)
    D = tl.load(D_ptr + head).to(tl.float32)
    _store_tile(dx_ptr, dt[:, None] * u + D * dy, batch, head, chunk, L, H * P, P, Q, BP)

    C = _load_tile(C_ptr, batch, head // ratio, chunk, L, C_row, N, Q, BN)
    dC = tl.exp(s)[:, None] * tl.dot(dy, S, input_precision=PRECISION)
    reads += tl.sum(C * dC, 1)
    dC += tl.dot(tl.trans(K), B, input_precision=PRECISION)
    _store_tile(dC_ptr, dC, batch, head, chunk, L, H * N, N, Q, BN)

    # a log decay is felt by every pair of a token before it and one behind it
    written += leaves
    across += tl.sum(dt * leaves)
    da = tl.cumsum(reads - dt * written, 0, reverse=not REVERSE) + across
    at = ddt_ptr + (batch * L + chunk * Q) * H + head + i * H
    tl.store(at, written + A * da, mask=i < L - chunk * Q)
    tl.store(dA_ptr + row, tl.sum(da * dt))
