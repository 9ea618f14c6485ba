"""Who sees whom: one boolean function of latents, for every mask there is.

In teacher forcing the clean latents of a clip stand before the noisy ones: a noisy block sees itself and the clean
blocks before it, which is what it sees in use, where the blocks before it are in the cache.

A sink's keys move with the window (`timeline.seen` puts them right before it), so in a pass over many blocks each
block whose window is full has its own copies of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from tween.models.stream.config import Rule
from tween.models.stream.timeline import seen


class Labels(NamedTuple):
    """What is said of each of some latents; all of one shape.

    Attributes:
        latent: its number in the stream.
        noisy: whether it is being made, while clean ones of the same numbers stand by.
        owner: the block for which it is a copy of a sink; -1: it is none.
    """

    latent: Tensor
    noisy: Tensor
    owner: Tensor

    def at(self, index: Tensor) -> Labels:
        """Labels of some."""
        return Labels(*(x[index] for x in self))


@dataclass(frozen=True, eq=False)
class Sight:
    """A pass: what asks, what is seen, and from where on the time axis.

    Attributes:
        query, key: labels of n and m latents; None in a pass with a cache, which sees all that the cache shows.
        asks, shows: their places in time, n and m.
        source: which of the n latents each key is; None: all, in order.
        slots: in a pass with a cache, where the n latents are kept.
    """

    query: Labels | None
    key: Labels | None
    asks: Tensor
    shows: Tensor
    source: Tensor | None = None
    slots: Tensor | None = None


def sees(query: Labels, key: Labels, rule: Rule) -> Tensor:
    """Whether `query` sees `key`; shapes broadcast."""
    block = query.latent // rule.block
    end = (block + 1) * rule.block
    full = end > rule.window
    first = torch.where(full, end - rule.window + rule.sink, 0)
    near = (key.latent >= first) & (key.latent < end)
    own = key.latent // rule.block == block
    half = key.noisy == (query.noisy & own)
    return half & torch.where(key.owner < 0, near, key.owner == block)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # kept for passes with gradients, too
def whole(latents: int, rule: Rule, device: torch.device, *, taught: bool = False) -> Sight:
    """The sight of a pass over the first `latents` of a stream; `taught`: clean ones, then noisy ones."""
    blocks = -(-latents // rule.block)
    number = torch.arange(latents, device=device).repeat(2 if taught else 1)
    noisy = torch.arange(len(number), device=device) >= latents if taught else torch.zeros_like(number) > 0
    plain = Labels(number, noisy, torch.full_like(number, -1))
    full = [b for b in range(blocks) if (b + 1) * rule.block > rule.window]
    owner = torch.tensor(full, device=device, dtype=torch.long).repeat_interleave(rule.sink)
    copy = torch.arange(rule.sink, device=device).repeat(len(full))
    copies = Labels(copy, torch.zeros_like(copy) > 0, owner)
    key = Labels(*(torch.cat(pair) for pair in zip(plain, copies, strict=True)))
    moved = copy + (owner + 1) * rule.block - rule.window
    return Sight(
        query=plain,
        key=key,
        asks=number,
        shows=torch.cat((number, moved)),
        source=torch.cat((torch.arange(len(number), device=device), copy)) if len(copy) else None,
    )


def streamed(start: int, rule: Rule, device: torch.device) -> Sight:
    """The sight of a pass over the block that begins at latent `start`, with a cache of `rule.window` slots.

    A latent of the sink keeps its slot, the others take turns, so slots from `rule.sink` on hold any order.
    Places count from the oldest latent that is seen: they never grow, and a stream never ends.
    """
    period = math.lcm(rule.block, rule.window - rule.sink)  # after which the same slots are taken
    full = settled(rule)
    return _streamed(start if start < full else full + (start - full) % period, rule, device)


def settled(rule: Rule) -> int:
    """The latent from which on every block sees as much as the one before."""
    return rule.block * -(-(rule.window + rule.sink) // rule.block)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _streamed(start: int, rule: Rule, device: torch.device) -> Sight:
    end = start + rule.block
    latents = seen(start // rule.block, size=rule.block, window=rule.window, sink=rule.sink)
    place = {slot(latent, rule): k for k, latent in enumerate(latents)}
    return Sight(
        query=None,
        key=None,
        asks=torch.arange(len(latents) - rule.block, len(latents), device=device),
        shows=torch.tensor([place[k] for k in range(len(latents))], device=device),
        slots=torch.tensor([slot(latent, rule) for latent in range(start, end)], device=device),
    )


def slot(latent: int, rule: Rule) -> int:
    """Where a cache keeps a latent."""
    return latent if latent < rule.sink else rule.sink + (latent - rule.sink) % (rule.window - rule.sink)
