"""Mamba1's scan in Triton: one program walks a sequence, some channels wide, a tile of tokens at a time.

A tile is scanned at once (tokens x channels x states); the state S is carried from tile to tile in registers. Every
offset is 64-bit; tensors are contiguous.
"""

import triton
import triton.language as tl


@triton.jit
def _after(decay, feed, later_decay, later_feed):
    """Two steps of S <- decay S + feed as one."""
    return decay * later_decay, later_decay * feed + later_feed


@triton.jit
def _rows(ptr, batch, first, L, width, start, T: tl.constexpr, WIDE: tl.constexpr):
    """Pointers and mask of T tokens x WIDE columns from `start` of a tensor `b l width`."""
    i, j = tl.arange(0, T), start + tl.arange(0, WIDE)
    token = first + i
    base = ptr + (batch * L + first) * width
    return base + (i[:, None] * width + j[None, :]), ((token >= 0) & (token < L))[:, None] & (j < width)[
        None, :
    ]


@triton.jit
def _load(ptr, batch, first, L, width, start, T: tl.constexpr, WIDE: tl.constexpr):
    at, inside = _rows(ptr, batch, first, L, width, start, T, WIDE)
    return tl.load(at, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _store(ptr, value, batch, first, L, width, start, T: tl.constexpr, WIDE: tl.constexpr):
    at, inside = _rows(ptr, batch, first, L, width, start, T, WIDE)
    tl.store(at, value.to(ptr.dtype.element_ty), mask=inside)


@triton.jit
def _block(ptr, row, start, size, N: tl.constexpr, W: tl.constexpr, BN: tl.constexpr):
    """Pointers and mask of W channels x states of matrix `row` of a tensor `rows size N`."""
    i, j = start + tl.arange(0, W), tl.arange(0, BN)
    return ptr + row * size * N + (i[:, None] * N + j[None, :]), (i < size)[:, None] & (j < N)[None, :]


@triton.jit
def forward(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, D_ptr, y_ptr, states_ptr, L, size, tiles,
    N: tl.constexpr, BN: tl.constexpr, W: tl.constexpr, T: tl.constexpr, REVERSE: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    """y, and with KEEP the state before each tile (`b tiles d n`)."""
    batch, start = tl.program_id(0).to(tl.int64), tl.program_id(1) * W
    column = start + tl.arange(0, W)
    at, inside = _block(A_ptr, 0, start, size, N, W, BN)
    A = tl.load(at, mask=inside, other=0.0)
    D = tl.load(D_ptr + column, mask=column < size, other=0.0)
    S = tl.zeros((W, BN), tl.float32)
    last = 0 if REVERSE else T - 1
    for k in range(tiles):
        tile = (tiles - 1 - k) if REVERSE else k
        first = tile * T
        if KEEP:
            at, inside = _block(states_ptr, batch * tiles + tile, start, size, N, W, BN)
            tl.store(at, S, mask=inside)
        u = _load(u_ptr, batch, first, L, size, start, T, W)
        delta = _load(delta_ptr, batch, first, L, size, start, T, W)
        B = _load(B_ptr, batch, first, L, N, 0, T, BN)
        C = _load(C_ptr, batch, first, L, N, 0, T, BN)
        decay = tl.exp(delta[:, :, None] * A[None, :, :])
        feed = (delta * u)[:, :, None] * B[:, None, :]
        decay, H = tl.associative_scan((decay, feed), 0, _after, reverse=REVERSE)
        H += decay * S[None, :, :]
        _store(y_ptr, tl.sum(H * C[:, None, :], 2) + D[None, :] * u, batch, first, L, size, start, T, W)
        S = tl.sum(tl.where((tl.arange(0, T) == last)[:, None, None], H, 0.0), 0)


@triton.jit
def backward(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, D_ptr, dy_ptr, states_ptr,
    du_ptr, ddelta_ptr, dA_ptr, dB_ptr, dC_ptr, dD_ptr, L, size, tiles, blocks,
    N: tl.constexpr, BN: tl.constexpr, W: tl.constexpr, T: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """Every gradient; walks against the scan with g, the gradient of the state, carried from token to token.

    dB and dC are per block of channels (`b l blocks BN`), dA (`b d n`) and dD (`b d`) per sequence.
    """
    batch, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    start = block * W
    column = start + tl.arange(0, W)
    a_at, a_inside = _block(A_ptr, 0, start, size, N, W, BN)
    A = tl.load(a_at, mask=a_inside, other=0.0)
    D = tl.load(D_ptr + column, mask=column < size, other=0.0)
    g_first = tl.zeros((W, BN), tl.float32)
    dA = tl.zeros((W, BN), tl.float32)
    dD = tl.zeros((W,), tl.float32)
    farthest = T - 1 if REVERSE else 0
    for k in range(tiles):
        tile = k if REVERSE else (tiles - 1 - k)
        first = tile * T
        u = _load(u_ptr, batch, first, L, size, start, T, W)
        dy = _load(dy_ptr, batch, first, L, size, start, T, W)
        delta = _load(delta_ptr, batch, first, L, size, start, T, W)
        later = _load(delta_ptr, batch, first + (-1 if REVERSE else 1), L, size, start, T, W)
        B = _load(B_ptr, batch, first, L, N, 0, T, BN)
        C = _load(C_ptr, batch, first, L, N, 0, T, BN)
        at, inside = _block(states_ptr, batch * tiles + tile, start, size, N, W, BN)
        S = tl.load(at, mask=inside, other=0.0)

        feed = (delta * u)[:, :, None] * B[:, None, :]
        decay, H = tl.associative_scan(
            (tl.exp(delta[:, :, None] * A[None, :, :]), feed), 0, _after, reverse=REVERSE
        )
        H += decay * S[None, :, :]
        out = dy[:, :, None] * C[:, None, :]
        decay, g = tl.associative_scan(
            (tl.exp(later[:, :, None] * A[None, :, :]), out), 0, _after, reverse=not REVERSE
        )
        g += decay * g_first[None, :, :]
        g_first = tl.sum(tl.where((tl.arange(0, T) == farthest)[:, None, None], g, 0.0), 0)

        through = g * (H - feed)  # gradient of the log decay: H - feed is what the decay let through
        into = tl.sum(g * B[:, None, :], 2)
        _store(du_ptr, delta * into + D[None, :] * dy, batch, first, L, size, start, T, W)
        _store(ddelta_ptr, u * into + tl.sum(through * A[None, :, :], 2), batch, first, L, size, start, T, W)
        _store(
            dB_ptr, tl.sum(g * (delta * u)[:, :, None], 1), batch, first, L, blocks * BN, block * BN, T, BN
        )
        _store(dC_ptr, tl.sum(H * dy[:, :, None], 1), batch, first, L, blocks * BN, block * BN, T, BN)
        dA += tl.sum(through * delta[:, :, None], 0)
        dD += tl.sum(u * dy, 0)
    at, inside = _block(dA_ptr, batch, start, size, N, W, BN)
    tl.store(at, dA, mask=inside)
    tl.store(dD_ptr + batch * size + column, dD, mask=column < size)
