"""A world as a `Filler`: it sees one picture, is told what the player does, and goes on block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.stream.actions import Actions
from tween.models.stream.cache import Cache, begin
from tween.models.stream.net.net import StreamNet
from tween.models.stream.replays import Replays
from tween.models.stream.sampling import Sampling, next_block
from tween.models.stream.timeline import block_frames
from tween.ops.replay import replayed


class Codec(Protocol):
    """What a world needs of an autoencoder; see `tween.nn.vae`."""

    def encode(self, frames: Tensor, cache: Any = None) -> tuple[Tensor, Any]: ...

    def decode(self, latents: Tensor, cache: Any = None) -> tuple[Tensor, Any]: ...


@dataclass(frozen=True, kw_only=True)
class World:
    """Where a stream is; used once, fork it with `tween.core.clone`.

    Attributes:
        cache: of the network; None before the first block.
        image: latent of the seed picture, `b c h w`.
        decoded: the autoencoder's own memory.
        seed: of all noise.
    """

    seed: int
    dtype: torch.dtype
    cache: Cache | None = None
    image: Tensor | None = None
    decoded: Any = None

    @property
    def start(self) -> int:
        """The latent at which the next block begins."""
        return 0 if self.cache is None else self.cache.start


class StreamFiller:
    """The first block begins with the picture it is given; what it is given later it has made itself, and ignores.

    Args:
        net, codec: in the precision to run in.
        side: pixels of a latent pixel's side.
    """

    past, future = 1, 0

    def __init__(self, net: StreamNet, codec: Codec, sampling: Sampling, *, side: int = 8) -> None:
        self.net, self.codec, self.sampling = net.eval(), codec, sampling
        self._pass, self._decode = Replays(net), replayed(codec.decode)
        self.multiple = side * net.config.patch
        self.bytes_per_pixel = 0.0  # nothing is tiled: a world has one size

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> World:
        """Nothing made yet; `dtype` is that of the network and its cache."""
        return World(seed=seed, dtype=dtype)

    def frames(self, state: World) -> range:
        """The frames that the next block shows: 0 to 8, then twelve at a time, for blocks of 3 latents."""
        size = self.net.config.rule.block
        return block_frames(state.start // size, size)

    @torch.inference_mode()
    def fill(
        self,
        state: World,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Actions | None = None,
    ) -> tuple[Tensor, World]:
        """The next block, as `Filler.fill`.

        Args:
            known: the seed picture `b 1 3 h w`.
            query_t: a time for each of `frames(state)`, of which only the number counts.
            cond: what the player does in those frames; None: nothing.

        Raises:
            TweenError: if the number of times or actions is not that of the block.
        """
        config, b = self.net.config, known.shape[0]
        due = len(self.frames(state))
        if len(query_t) != due or (cond is not None and cond.frames != due):
            raise TweenError(
                f"the next block has {due} frames and as many actions, but got {len(query_t)} times"
                + ("" if cond is None else f" and {cond.frames} actions")
            )
        nothing = Actions(torch.zeros(b, due, len(config.mode.keys)), torch.zeros(b, due, 2))
        actions = (cond or nothing).to(known.device, state.dtype)
        image, cache = state.image, state.cache
        if cache is None:
            image = self.codec.encode(known.to(state.dtype))[0][:, 0]
            cache = begin(config, b, tuple(image.shape[-2:]), device=known.device, dtype=state.dtype)
        latents, cache = next_block(
            self._pass,
            cache,
            actions,
            image,
            size=tuple(image.shape[-2:]),
            seed=state.seed,
            sampling=self.sampling,
        )
        frames, decoded = self._decode(latents, state.decoded)
        made = World(seed=state.seed, dtype=state.dtype, cache=cache, image=image, decoded=decoded)
        return frames.clamp(0, 1).to(known.dtype), made
