"""The transformer that both refiners are: blocks after DiT (Peebles and Xie, ICCV 2023) with what drifting's authors
use in them (arXiv 2602.04770, appendix A.2): RMS norms, normalised queries and keys, rotary places, gated MLPs."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from tween.core import TweenError
from tween.models.impute.config import Trunk

WAVES = 64
KINDS = ("flash_attention", "flash_attention_for_cpu", "efficient_attention", "cudnn_attention")
KEPT = [getattr(torch.ops.aten, f"_scaled_dot_product_{kind}").default for kind in KINDS]
"""What is not computed twice: of long clips attention is most of the work, and its answer is small."""


class Net(nn.Module):
    """Tokens `b n width` -> tokens `b n width`, told class, level, alpha, style and text.

    `recompute` trades time for memory: all of a block but its attention is run again in the backward pass.
    """

    def __init__(self, config: Trunk) -> None:
        super().__init__()
        self.config, self.recompute = config, False
        self.told = Told(config)
        self.modulate = nn.Linear(config.width, 6 * config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.last = nn.Linear(config.width, 2 * config.width)
        for zero in (self.modulate, self.last):
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)

    def forward(self, x: Tensor, places: Tensor, told: Tensor, given: Tensor | None = None) -> Tensor:
        """
        Args:
            places: `n a`, of each token on each axis.
            told: what `self.told` returns.
            given: `b n` bool, tokens that are given; needed where the trunk is `explicit`.
        """
        turn = rotation(places, self.config.width // self.config.heads)
        levels = self.modulate(F.silu(told)).unflatten(-1, (6, -1))
        start = x
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, levels, turn, start, given, use_reentrant=False, context_fn=kept)
            else:
                x = block(x, levels, turn, start, given)
        shift, scale = self.last(F.silu(told))[:, None].chunk(2, -1)
        return norm(x) * (1 + scale) + shift


def kept() -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of a block and of its second run."""
    return create_selective_checkpoint_contexts(KEPT)


class Told(nn.Module):
    """One vector `b width` of all that is said about a sample."""

    def __init__(self, config: Trunk) -> None:
        super().__init__()
        self.config = config
        self.label = nn.Embedding(config.classes + 1, config.width)
        self.level, self.alpha = (_mlp(2 * WAVES, config.width) for _ in range(2))
        self.style = _mlp(config.style, config.width) if config.style else None
        self.text = nn.Linear(config.text, config.width) if config.text else None
        nn.init.normal_(self.label.weight, std=0.02)

    def forward(
        self, label: Tensor, level: Tensor, alpha: Tensor, noise: Tensor | None, text: Tensor | None
    ) -> Tensor:
        """
        Args:
            label: `b`, 0 to `classes`; the last means none.
            level: `b`, share that is missing, in [0, 1].
            alpha: `b`, strength of guidance from 1 on.
            noise: `b style`; None: zeros, the middle of all answers.
            text: `b text`; None: zeros, nothing is said.
        """
        if noise is not None and self.style is None:
            raise TweenError(
                "this refiner has one answer only; train one with a style, or leave the noise out"
            )
        if text is not None and self.text is None:
            raise TweenError("this model was trained without text, but got a text embedding; leave it out")
        told = self.label(label) + self.level(waves(level)) + self.alpha(waves(alpha.log() / math.log(4.0)))
        if self.style is not None:
            told = told + self.style(told.new_zeros(len(told), self.config.style) if noise is None else noise)
        if self.text is not None:
            told = told + self.text(told.new_zeros(len(told), self.config.text) if text is None else text)
        return told


class Block(nn.Module):
    """Attention among all tokens, a look at what was given, a gated MLP."""

    def __init__(self, config: Trunk) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv, self.out = nn.Linear(config.width, 3 * config.width), nn.Linear(config.width, config.width)
        self.look = Look(config) if config.explicit else None
        self.up, self.down = nn.Linear(config.width, 2 * config.ffn), nn.Linear(config.ffn, config.width)
        self.modulation = nn.Parameter(torch.zeros(6, config.width))

    def forward(self, x: Tensor, levels: Tensor, turn: Tensor, start: Tensor, given: Tensor | None) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = (levels + self.modulation)[:, :, None].unbind(1)
        q, k, v = self.qkv(norm(x) * (1 + scale1) + shift1).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        x = x + gate1 * self.out(attend(rotated(norm(q), turn), rotated(norm(k), turn), v))
        if self.look is not None:
            x = x + self.look(x, start, given)
        wide, gate = self.up(norm(x) * (1 + scale2) + shift2).chunk(2, -1)
        return x + gate2 * self.down(wide * F.silu(gate))


class Look(nn.Module):
    """Of every token at the given ones, as they entered the network; zero at first."""

    def __init__(self, config: Trunk) -> None:
        super().__init__()
        self.heads = config.heads
        self.q, self.kv = nn.Linear(config.width, config.width), nn.Linear(config.width, 2 * config.width)
        self.out = nn.Linear(config.width, config.width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, start: Tensor, given: Tensor) -> Tensor:
        q = norm(self.q(norm(x)).unflatten(-1, (self.heads, -1)))
        k, v = self.kv(norm(start)).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return self.out(attend(q, norm(k), v, given[:, None, None]))


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
    """`b n heads hd` each -> `b n width`."""
    q, k, v = (x.to(v.dtype).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(-2)


def norm(x: Tensor) -> Tensor:
    """To root mean square 1 over the last axis."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


def waves(x: Tensor) -> Tensor:
    """`b` -> `b 2*WAVES`: cosines and sines of numbers about 0 to 1."""
    rate = torch.exp(torch.linspace(0, math.log(1000.0), WAVES, device=x.device))
    angle = x.float()[:, None] * rate
    return torch.cat([angle.cos(), angle.sin()], -1)


def rotation(places: Tensor, size: int) -> Tensor:
    """Cosines and sines `2 n size/2` for places `n a`; pairs of a head are dealt out to the axes (Su et al., 2021)."""
    pairs, axes = size // 2, places.shape[1]
    axis = torch.arange(pairs, device=places.device) % axes
    step = torch.arange(pairs, device=places.device) // axes
    rate = 100.0 ** (-step / math.ceil(pairs / axes))
    angle = places.float()[:, axis] * rate
    return torch.stack([angle.cos(), angle.sin()])


def rotated(x: Tensor, turn: Tensor) -> Tensor:
    """`b n heads hd` turned by `rotation`."""
    cos, sin = turn[:, :, None].to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def _mlp(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))
