"""What a stream remembers between blocks: keys and values of the latents that are still seen, and the last actions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tween.models.stream.actions import Actions, join
from tween.models.stream.config import StreamConfig
from tween.models.stream.net.attention import Ring
from tween.models.stream.net.blocks import Rings
from tween.models.stream.timeline import HEARD, shown


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Of a stream that has come to latent `start`.

    A pass over the block that begins there writes its keys and values into `rings`, in place, over those of an earlier
    pass over the same block. The last pass over a block is the one over its clean latents; then `advance`.
    A cache is used once: fork with `tween.core.clone`.

    Attributes:
        rings: of each layer, `masks.slot` says where.
        history: the last actions before the block, up to 12; None before the first.
        seen: of each layer, what the seed picture's tokens gave; None without them.
    """

    rings: tuple[Rings, ...]
    start: int = 0
    history: Actions | None = None
    seen: tuple[tuple[Tensor, Tensor], ...] | None = None

    def heard(self, actions: Actions) -> tuple[Actions, int]:
        """The actions of the history and then `actions`, and the frame of the first."""
        if self.history is None:
            return actions, 0
        return join(self.history, actions), shown(self.start).start - self.history.frames


def begin(
    config: StreamConfig, batch: int, size: tuple[int, int], *, device: Any = None, dtype: Any = torch.float32
) -> Cache:
    """Nothing seen yet.

    Args:
        size: height and width of the latents.
    """
    tokens = size[0] * size[1] // config.patch**2
    window, action = config.rule.window, config.action

    def ring(batch: int, tokens: int, width: int, heads: int) -> Ring:
        shape = (batch, window, tokens, heads, width // heads)
        return Ring(*(torch.zeros(shape, device=device, dtype=dtype) for _ in range(2)))

    def layer(index: int) -> Rings:
        own = ring(batch, tokens, config.width, config.heads)
        if index >= action.layers:
            return Rings(own)
        mouse = ring(batch * tokens, 1, action.width, action.heads) if config.mode.mouse else None
        return Rings(own, mouse, ring(batch, 1, action.width, action.heads))

    return Cache(rings=tuple(layer(i) for i in range(config.layers)))


def advance(cache: Cache, config: StreamConfig, actions: Actions) -> Cache:
    """After the clean pass: the cache for the next block; `actions` are those of the block that is done."""
    heard, _ = cache.heard(actions)
    return replace(cache, start=cache.start + config.rule.block, history=heard[-HEARD:])
