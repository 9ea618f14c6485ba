"""The transformer block: attention over latents, the seed picture, the actions, and an MLP."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tween.models.stream.config import StreamConfig
from tween.models.stream.net.action import KeyAttention, MouseAttention
from tween.models.stream.net.attention import EPS, HeadNorm, Lens, Ring, attend


class Looks(NamedTuple):
    """The lenses of one pass: tokens at tokens, a token at its own past, tokens at the keys pressed."""

    tokens: Lens
    mouse: Lens
    keys: Lens


class Rings(NamedTuple):
    """What one layer keeps; without action modules, or without a mouse, those are None."""

    tokens: Ring
    mouse: Ring | None = None
    keys: Ring | None = None


class SelfAttention(nn.Module):
    """Of every token to all tokens of the latents that it sees, queries and keys normalised (RMS) in each head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q_norm, self.k_norm = (HeadNorm(width // heads) for _ in range(2))

    def forward(self, x: Tensor, look: Lens, ring: Ring | None = None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return self.out(attend(self.q_norm(q), self.k_norm(k), v, look, ring).flatten(-2))


class PictureAttention(nn.Module):
    """Of every token to the tokens that describe the seed picture, `b m width`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.q, self.kv, self.out = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
        )
        self.q_norm, self.k_norm = (HeadNorm(width // heads) for _ in range(2))

    def see(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `b heads m hd`: the same in every pass of a video."""
        k, v = self.kv(context).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return self.k_norm(k).to(v.dtype).transpose(1, 2), v.transpose(1, 2)

    def forward(self, x: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
        q = self.q(self.norm(x)).unflatten(-1, (self.heads, -1))
        q = self.q_norm(q).to(seen[1].dtype).flatten(1, 2).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, *seen).transpose(1, 2)
        return self.out(y.flatten(-2)).unflatten(1, x.shape[1:3])


class Block(nn.Module):
    """DiT block (Peebles and Xie, 2023); its shifts, scales and gates are those of the level of noise of each latent
    plus its own (as Wan, 2025).

    Args:
        acts: whether it has action modules.
    """

    def __init__(self, config: StreamConfig, *, acts: bool) -> None:
        super().__init__()
        width, action = config.width, config.action
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=EPS, elementwise_affine=False) for _ in range(2))
        self.attention = SelfAttention(width, config.heads)
        self.picture = PictureAttention(width, config.heads) if config.context else None
        self.mouse = MouseAttention(width, action) if acts and config.mode.mouse else None
        self.keys = KeyAttention(width, len(config.mode.keys), action) if acts else None
        self.ffn = nn.Sequential(
            nn.Linear(width, config.ffn), nn.GELU(approximate="tanh"), nn.Linear(config.ffn, width)
        )
        self.modulation = nn.Parameter(torch.zeros(6, width))

    def forward(
        self,
        x: Tensor,
        levels: Tensor,
        keys: Tensor,
        mouse: Tensor,
        looks: Looks,
        seen: tuple[Tensor, Tensor] | None = None,
        rings: Rings | None = None,
    ) -> Tensor:
        """
        Args:
            x: tokens `b n s width`.
            levels: `b n 6 width`.
            keys, mouse: what each latent hears, `b n 12 k` and `b n 12 2`.
            seen: of `picture.see`.
        """
        rings = rings or Rings(None)
        shift1, scale1, gate1, shift2, scale2, gate2 = (levels + self.modulation)[:, :, :, None].unbind(2)
        x = x + gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1, looks.tokens, rings.tokens)
        if seen is not None:
            x = x + self.picture(x, seen)
        if self.mouse is not None:
            x = x + self.mouse(x, mouse, looks.mouse, rings.mouse)
        if self.keys is not None:
            x = x + self.keys(x, keys, looks.keys, rings.keys)
        return x + gate2 * self.ffn(self.norm2(x) * (1 + scale2) + shift2)
