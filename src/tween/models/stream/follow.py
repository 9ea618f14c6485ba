"""Going on from real frames: how a network is measured against what truly came next."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.stream.actions import Actions, hold, join
from tween.models.stream.cache import advance, begin
from tween.models.stream.filler import Codec
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling, flat, next_block, noise, noised
from tween.models.stream.timeline import block_frames, latents_of


@torch.inference_mode()
def follow(
    net: StreamNet,
    codec: Codec,
    seen: Tensor,
    actions: Actions,
    *,
    frames: int,
    sampling: Sampling,
    seed: int = 0,
) -> Tensor:
    """What the network makes of the next `frames` frames.

    Args:
        seen: real frames `b t 3 h w` in [0, 1] of whole blocks; or the first alone.
        actions: of the frames seen and of those to come, one each; the last one is held.

    Returns:
        `b frames 3 h w` in [0, 1].

    Raises:
        TweenError: if `seen` is no whole blocks.
    """
    size, dtype = net.config.rule.block, next(net.parameters()).dtype
    n = 0 if seen.shape[1] == 1 else latents_of(seen.shape[1])
    if n % size:
        raise TweenError(
            f"one frame, or those of whole blocks of {size} latents, are gone on from, but got {seen.shape[1]}"
        )
    latents = codec.encode(seen)[0].to(dtype)
    image, actions = latents[:, 0], actions.to(seen.device, dtype)
    cache = begin(net.config, len(seen), tuple(image.shape[-2:]), device=seen.device, dtype=dtype)
    decoded = codec.decode(latents)[1] if n else None
    for block in range(n // size):
        own, clean = _of(actions, block, size), latents[:, block * size : (block + 1) * size]
        level, drawn = sampling.remember, noise(seed, block, len(sampling.steps), clean.shape, clean)
        net(noised(clean, level, drawn), flat(level, clean), own, image, cache=cache)
        cache = advance(cache, net.config, own)
    made, block, wanted = [], n // size, frames + (n == 0)
    while sum(x.shape[1] for x in made) < wanted:
        own = _of(actions, block, size)
        x, cache = next_block(
            net, cache, own, image, size=tuple(image.shape[-2:]), seed=seed, sampling=sampling
        )
        x, decoded = codec.decode(x, decoded)
        made.append(x.clamp(0, 1))
        block += 1
    return torch.cat(made, 1)[:, wanted - frames : wanted].to(seen.dtype)


def _of(actions: Actions, block: int, size: int) -> Actions:
    """Those of a block; where they end, the last one is held."""
    shown = block_frames(block, size)
    missing = shown.stop - max(actions.frames, shown.start)
    own = actions[shown.start : shown.stop]
    return own if missing <= 0 else join(own, hold(actions[-1:], missing))
