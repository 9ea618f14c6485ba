"""The two action modules (GameFactory, Yu et al. 2025, as Matrix-Game 2 has them): attention over time only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tween.models.stream.config import ActionConfig
from tween.models.stream.net.attention import EPS, HeadNorm, Lens, Ring, attend
from tween.models.stream.timeline import HEARD


class MouseAttention(nn.Module):
    """Each place of the picture, told how the mouse moved, attends to itself at other times.

    Starts as nothing: its last layer is zero.
    """

    def __init__(self, width: int, config: ActionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.mix = nn.Sequential(
            nn.Linear(width + 2 * HEARD, config.width),
            nn.GELU(approximate="tanh"),
            nn.Linear(config.width, config.width),
            nn.LayerNorm(config.width, eps=EPS),
        )
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.q_norm, self.k_norm = (HeadNorm(config.width // config.heads) for _ in range(2))
        self.out = _nothing(config.width, width)

    def forward(self, x: Tensor, mouse: Tensor, look: Lens, ring: Ring | None = None) -> Tensor:
        """`x` tokens `b n s width`, `mouse` `b n 12 2`."""
        b, _, s = x.shape[:3]
        told = mouse.flatten(2)[:, :, None].expand(-1, -1, s, -1).to(x.dtype)
        y = self.mix(torch.cat((x, told), -1)).transpose(1, 2).flatten(0, 1)[:, :, None]
        q, k, v = self.qkv(y).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        y = attend(self.q_norm(q), self.k_norm(k), v, look, ring)
        return self.out(y.flatten(-2)).squeeze(2).unflatten(0, (b, s)).transpose(1, 2)


class KeyAttention(nn.Module):
    """Each token attends to the keys that the latents which it sees have heard. Starts as nothing."""

    def __init__(self, width: int, keys: int, config: ActionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.embed = embedding(keys, config.embed)
        self.q = nn.Linear(width, config.width, bias=False)
        self.kv = nn.Linear(HEARD * config.embed, 2 * config.width, bias=False)
        self.q_norm, self.k_norm = (HeadNorm(config.width // config.heads) for _ in range(2))
        self.out = _nothing(config.width, width)

    def forward(self, x: Tensor, keys: Tensor, look: Lens, ring: Ring | None = None) -> Tensor:
        """`x` tokens `b n s width`, `keys` `b n 12 k`."""
        heard = self.embed(keys.to(x.dtype)).flatten(2)[:, :, None]
        q = self.q(x).unflatten(-1, (self.heads, -1))
        k, v = self.kv(heard).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return self.out(attend(self.q_norm(q), self.k_norm(k), v, look, ring).flatten(-2))


def embedding(inputs: int, width: int) -> nn.Sequential:
    """Of one action."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))


def _nothing(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
