"""Attention of latents to latents, with places rotated in when they are read, in one pass or with a cache."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from tween.models.stream.config import Rule
from tween.models.stream.masks import Sight, sees

THETA = 10000.0
NARROWEST = 16  # head that flex_attention has a kernel for
EPS = 1e-6
TILE = {"BLOCK_M": 64, "BLOCK_N": 64}
"""Of flex_attention: on an H200 0.8 ms where its own choice takes 3.9 (64 clips of 2,016 tokens, 4 heads of 64)."""


class Ring(NamedTuple):
    """Keys, not yet rotated, and values of the latents that are seen, `b window s heads hd`; slots: `masks.slot`."""

    k: Tensor
    v: Tensor


class Lens(NamedTuple):
    """A `Sight` at a certain number of tokens a latent.

    Attributes:
        source, slots: those of the sight.
        query, key: cos and sin of the rotation, `n s 1 hd/2` and `m s 1 hd/2`; s may be 1 for all tokens.
        mask: over tokens; None: all is seen.
    """

    source: Tensor | None
    slots: Tensor | None
    query: tuple[Tensor, Tensor]
    key: tuple[Tensor, Tensor]
    mask: Tensor | BlockMask | None


class HeadNorm(nn.RMSNorm):
    """Of each head, in fp32, in which it is then rotated."""

    def __init__(self, size: int) -> None:
        super().__init__(size, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps)


def angles(places: Tensor, size: int, grid: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """Cos and sin `n s 1 size/2` of latents at `places` (`n`) whose tokens stand on `grid` (h, w; s = h w).

    Rotary embedding (Su et al. 2021) over time, height and width: a third of the pairs for each of height and width,
    the rest for time. Without a grid all are for time, and s = 1.
    """
    h, w = grid or (1, 1)
    space = 2 * (size // 6) if grid else 0
    widths, device = (size - 2 * space, space, space), places.device
    axes = (
        places[:, None, None],
        torch.arange(h, device=device)[None, :, None],
        torch.arange(w, device=device)[None, None, :],
    )
    parts = [
        (axis[..., None] * frequencies(width, device)).expand(len(places), h, w, -1)
        for axis, width in zip(axes, widths, strict=True)
        if width
    ]
    angle = torch.cat(parts, -1).flatten(1, 2)[:, :, None]
    return angle.cos(), angle.sin()


def frequencies(size: int, device: torch.device) -> Tensor:
    """Of `size` / 2 pairs, falling from 1 to near 1 / THETA."""
    return THETA ** -(torch.arange(0, size, 2, device=device) / size)


def rotated(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """`x` (`b n s heads hd`), its neighbours in pairs turned by the angles; in fp32."""
    cos, sin = turn
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def lens(sight: Sight, rule: Rule, size: int, grid: tuple[int, int]) -> Lens:
    """Tokens on `grid` that see one another; `size` is the width of a head."""
    s = grid[0] * grid[1]
    flex = sight.query and fused(sight.asks.device, size)
    mask = block_mask(sight, rule, s) if flex else table(sight, rule, s, s)
    turns = angles(sight.asks, size, grid), angles(sight.shows, size, grid)
    return Lens(sight.source, sight.slots, *turns, mask)


def fused(device: torch.device, size: int) -> bool:
    """Whether flex_attention has a kernel there for heads so wide; else the mask is a table."""
    return device.type == "cuda" and size >= NARROWEST


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def time_lens(sight: Sight, rule: Rule, size: int, tokens: int = 1) -> Lens:
    """`tokens` tokens a latent, which see one key a latent, at places in time only."""
    turns = angles(sight.asks, size), angles(sight.shows, size)
    return Lens(sight.source, sight.slots, *turns, table(sight, rule, tokens, 1))


def table(sight: Sight, rule: Rule, asks: int, shows: int) -> Tensor | None:
    """Who sees whom, `n*asks m*shows` for so many tokens a latent; None: all see all."""
    if sight.query is None:
        return None
    mask = sees(sight.query.at((slice(None), None)), sight.key.at((None,)), rule)
    return mask.repeat_interleave(asks, 0).repeat_interleave(shows, 1)


def block_mask(sight: Sight, rule: Rule, tokens: int) -> BlockMask:
    """`table` for flex_attention, with `tokens` tokens a latent."""
    # looked up: with the rule itself in the kernel a forward takes four times as long
    pairs = table(sight, rule, 1, 1)

    def mask(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return pairs[q // tokens, k // tokens]

    n, m = len(sight.asks) * tokens, len(sight.shows) * tokens
    return create_block_mask(mask, None, None, n, m, device=sight.asks.device)


def attend(q: Tensor, k: Tensor, v: Tensor, lens: Lens, ring: Ring | None = None) -> Tensor:
    """What `q` (`b n s heads hd`) reads of `k`, `v` (`b n s' heads hd`) and of the ring; shape of `q`.

    In a pass with a cache, k and v are kept in the ring, in place, over what the block left there before; with
    gradients they are only seen there: what is kept has none.
    """
    k, v = _visible(k, v, lens, ring)
    q, k = rotated(q, lens.query).to(v.dtype), rotated(k, lens.key).to(v.dtype)
    n, s = q.shape[1:3]
    q, k, v = (x.flatten(1, 2).transpose(1, 2) for x in (q, k, v))
    if isinstance(lens.mask, BlockMask):
        flex = flex_attention if torch.compiler.is_compiling() else _compiled()
        y = flex(q, k, v, block_mask=lens.mask, kernel_options=TILE)
    else:
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=lens.mask)
    return y.transpose(1, 2).unflatten(1, (n, s))


def _visible(k: Tensor, v: Tensor, lens: Lens, ring: Ring | None) -> tuple[Tensor, Tensor]:
    if ring is None:
        return (k, v) if lens.source is None else (k[:, lens.source], v[:, lens.source])
    m = len(lens.key[0])
    if torch.is_grad_enabled():
        return tuple(
            r[:, :m].index_copy(1, lens.slots, x.to(r.dtype)) for r, x in zip(ring, (k, v), strict=True)
        )
    for held, new in zip(ring, (k, v), strict=True):
        held.index_copy_(1, lens.slots, new.to(held.dtype))
    return ring.k[:, :m], ring.v[:, :m]


@cache
def _compiled() -> Any:
    return torch.compile(flex_attention)  # uncompiled it writes down every score
