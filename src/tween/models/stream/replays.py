"""Passes of a settled session as CUDA graphs: a small network waits for the host's launches, not for the GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from tween.models.stream.actions import Actions
from tween.models.stream.cache import Cache
from tween.models.stream.masks import settled
from tween.models.stream.net.blocks import Looks
from tween.models.stream.net.net import StreamNet
from tween.ops.replay import replayed


class Replays:
    """A network as `next_block` calls it, without gradients. Once all slots of a cache are taken, every pass with it
    is one launch; each cache has a graph of its own, which writes into its rings and goes when they do.

    On a CPU every pass runs as it is.
    """

    def __init__(self, net: StreamNet) -> None:
        self.net = net
        self._kept: Any = WeakTensorKeyDictionary()

    @property
    def config(self) -> Any:
        return self.net.config

    def __call__(
        self,
        latents: Tensor,
        level: Tensor,
        actions: Actions,
        image: Tensor | None = None,
        *,
        context: Tensor | None = None,
        cache: Cache,
    ) -> tuple[Tensor, Cache]:
        """A pass over the next block, as of `StreamNet`."""
        if cache.start < settled(self.config.rule) or (context is not None and cache.seen is None):
            return self.net(latents, level, actions, image, context=context, cache=cache)
        first = cache.rings[0].tokens.k
        if first not in self._kept:
            self._kept[first] = graphed(self.net, cache)
        x, heard, looks = self.net.ready(latents, actions, image, cache)
        return self._kept[first](x, level, heard.keys, heard.mouse, looks), cache


def graphed(net: StreamNet, cache: Cache) -> Callable[..., Tensor]:
    """The device's part of every pass with `cache`, whose memory it shares without keeping the tensors alive that
    stand for it."""
    rings, seen = tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, (cache.rings, cache.seen))
    last = net.config.rule.block

    def run(x: Tensor, level: Tensor, keys: Tensor, mouse: Tensor, looks: Looks) -> Tensor:
        return net.velocity(x, level, Actions(keys, mouse), looks, seen, rings, last=last)

    return replayed(torch.no_grad()(run))
