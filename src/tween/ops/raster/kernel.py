"""Compositing in Triton: one program draws one tile, g Gaussians at a time, with all its pixels in registers.

Letters: p pixels of a tile, g Gaussians of a block, k channels; SIDE of a tile, BP and BK the powers of two that hold
p and k. Tensors are contiguous fp32, lists int64, so every offset is 64-bit.
"""

import triton
import triton.language as tl


@triton.jit
def _pixels(tile, rows, columns, SIDE: tl.constexpr, BP: tl.constexpr):
    """Middles of the pixels of a tile, and which of the BP lanes are pixels."""
    p = tl.arange(0, BP)
    x = (tile % columns) * SIDE + p % SIDE + 0.5
    y = (tile // columns % rows) * SIDE + p // SIDE + 0.5
    return x, y, p < SIDE * SIDE


@triton.jit
def _load(ptr, ids, j, inside, other):
    return tl.load(ptr + ids * 6 + j, mask=inside, other=other)


@triton.jit
def _block(
    gaussians_ptr, ids, inside, x, y, light, LEAST: tl.constexpr, MOST: tl.constexpr, DARK: tl.constexpr
):
    """What g Gaussians put on p pixels: offsets from their middles, conic, weight, odds, if alpha is free, light."""
    dx = x[:, None] - _load(gaussians_ptr, ids, 0, inside, 0.0)[None, :]
    dy = y[:, None] - _load(gaussians_ptr, ids, 1, inside, 0.0)[None, :]
    xx = _load(gaussians_ptr, ids, 2, inside, 0.0)
    xy = _load(gaussians_ptr, ids, 3, inside, 0.0)
    yy = _load(gaussians_ptr, ids, 4, inside, 0.0)
    log_opacity = _load(gaussians_ptr, ids, 5, inside, -1e30)
    power = -0.5 * (xx[None, :] * dx * dx + yy[None, :] * dy * dy) - xy[None, :] * dx * dy
    alpha = tl.minimum(tl.exp(log_opacity[None, :] + power), MOST)
    alpha = tl.where(alpha > LEAST, alpha, 0.0)
    through = 1 - alpha
    after = tl.cumprod(through, 1) * light[:, None]
    odds = alpha / through
    weight = tl.where(after > DARK, after * odds, 0.0)
    free = (after > DARK) & (alpha < MOST)
    return dx, dy, xx, xy, yy, weight, odds, free, tl.min(after, 1)


@triton.jit
def forward(
    gaussians_ptr, channels_ptr, ids_ptr, start_ptr, out_ptr, rows, columns, K,
    SIDE: tl.constexpr, BP: tl.constexpr, BK: tl.constexpr, G: tl.constexpr,
    LEAST: tl.constexpr, MOST: tl.constexpr, DARK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`tiles k p`."""
    tile = tl.program_id(0).to(tl.int64)
    x, y, real = _pixels(tile, rows, columns, SIDE, BP)
    k = tl.arange(0, BK)
    first, end = tl.load(start_ptr + tile), tl.load(start_ptr + tile + 1)
    light = tl.where(real, 1.0, 0.0)
    out = tl.zeros((BP, BK), tl.float32)
    brightest = 1.0
    while (first < end) & (brightest > DARK):
        at = first + tl.arange(0, G)
        ids = tl.load(ids_ptr + at, mask=at < end, other=0)
        colours = tl.load(
            channels_ptr + ids[:, None] * K + k[None, :],
            mask=(at < end)[:, None] & (k < K)[None, :],
            other=0.0,
        )
        _, _, _, _, _, weight, _, _, light = _block(
            gaussians_ptr, ids, at < end, x, y, light, LEAST, MOST, DARK
        )
        out += tl.dot(weight, colours, input_precision=PRECISION)
        brightest = tl.max(light, 0)
        first += G
    p = tl.arange(0, BP)
    to = out_ptr + tile * K * (SIDE * SIDE) + k[None, :] * (SIDE * SIDE) + p[:, None]
    tl.store(to, out, mask=real[:, None] & (k < K)[None, :])


@triton.jit
def backward(
    gaussians_ptr, channels_ptr, ids_ptr, start_ptr, out_ptr, d_out_ptr, d_gaussians_ptr, d_channels_ptr,
    rows, columns, K,
    SIDE: tl.constexpr, BP: tl.constexpr, BK: tl.constexpr, G: tl.constexpr,
    LEAST: tl.constexpr, MOST: tl.constexpr, DARK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of every pair, `m 6` and `m k`, zero before; front to back again, as in the forward pass."""
    tile = tl.program_id(0).to(tl.int64)
    x, y, real = _pixels(tile, rows, columns, SIDE, BP)
    k, p = tl.arange(0, BK), tl.arange(0, BP)
    here = tile * K * (SIDE * SIDE) + k[None, :] * (SIDE * SIDE) + p[:, None]
    known = real[:, None] & (k < K)[None, :]
    d = tl.load(d_out_ptr + here, mask=known, other=0.0)
    behind = tl.sum(d * tl.load(out_ptr + here, mask=known, other=0.0), 1)

    first, end = tl.load(start_ptr + tile), tl.load(start_ptr + tile + 1)
    light = tl.where(real, 1.0, 0.0)
    brightest = 1.0
    while (first < end) & (brightest > DARK):
        at = first + tl.arange(0, G)
        inside = at < end
        ids = tl.load(ids_ptr + at, mask=inside, other=0)
        colours = tl.load(
            channels_ptr + ids[:, None] * K + k[None, :], mask=inside[:, None] & (k < K)[None, :], other=0.0
        )
        dx, dy, xx, xy, yy, weight, odds, free, light = _block(
            gaussians_ptr, ids, inside, x, y, light, LEAST, MOST, DARK
        )
        own = weight * tl.dot(d, tl.trans(colours), input_precision=PRECISION)
        later = behind[:, None] - tl.cumsum(own, 1)
        behind -= tl.sum(own, 1)
        d_power = tl.where(free, own - odds * later, 0.0)

        sx, sy = tl.sum(d_power * dx, 0), tl.sum(d_power * dy, 0)
        to = d_gaussians_ptr + at * 6
        tl.store(to, xx * sx + xy * sy, mask=inside)
        tl.store(to + 1, xy * sx + yy * sy, mask=inside)
        tl.store(to + 2, -0.5 * tl.sum(d_power * dx * dx, 0), mask=inside)
        tl.store(to + 3, -tl.sum(d_power * dx * dy, 0), mask=inside)
        tl.store(to + 4, -0.5 * tl.sum(d_power * dy * dy, 0), mask=inside)
        tl.store(to + 5, tl.sum(d_power, 0), mask=inside)
        d_colours = tl.dot(tl.trans(weight), d, input_precision=PRECISION)
        tl.store(
            d_channels_ptr + at[:, None] * K + k[None, :], d_colours, mask=inside[:, None] & (k < K)[None, :]
        )
        brightest = tl.max(light, 0)
        first += G
