"""From noise to the next block, by flow matching: x = (1 - level) clean + level noise, velocity = noise - clean."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.stream.actions import Actions
from tween.models.stream.cache import Cache, advance
from tween.models.stream.net.net import StreamNet
from tween.models.stream.replays import Replays


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a block is made.

    Attributes:
        steps: where the passes are on the way from noise (1000) to clean (0), before the shift.
        shift: above 1 spends more of the way where there is much noise.
        loop: `renoise` jumps to the clean latents and puts fresh noise on them, as networks distilled to few steps
            want it; `adams` follows the velocity, of which it takes what two passes say (Adams and Bashforth, of second
            order): following each pass alone, as Euler, ten steps lose an eighth of the deviation of whatever the
            past does not fix, block after block.
        remember: share of noise in what later blocks see of a block, 0 to below 1: networks that learned from clean
            blocks with noise (`Forcing.stain`) then take their own small errors for it (as GameNGen, Valevski et al.
            2024).
    """

    steps: tuple[int, ...] = (1000, 666, 333)
    shift: float = 5.0
    loop: Literal["renoise", "adams"] = "renoise"
    remember: float = 0.0

    def __post_init__(self) -> None:
        falling = all(a > b for a, b in zip(self.steps, self.steps[1:], strict=False))
        if not self.steps or not falling or self.steps[0] > 1000 or self.steps[-1] <= 0 or self.shift <= 0:
            raise TweenError(
                f"steps fall from at most 1000 and stay above 0, with a shift above 0, "
                f"but got {self.steps} and {self.shift}"
            )
        if self.loop not in ("renoise", "adams"):
            raise TweenError(f"a block is made by the loop renoise or adams, but got {self.loop!r}")
        if not 0 <= self.remember < 1:
            raise TweenError(f"what is remembered bears noise from 0 to below 1, but got {self.remember}")

    @property
    def levels(self) -> list[float]:
        """The share of noise before each pass: 1, 0.909, 0.714 for steps 1000, 666, 333 and shift 5."""
        return [shifted(step / 1000, self.shift) for step in self.steps]


def even(steps: int, **fields: object) -> Sampling:
    """Sampling in so many evenly spaced steps along the velocity."""
    return Sampling(steps=tuple(round(1000 * (1 - i / steps)) for i in range(steps)), loop="adams", **fields)


def shifted(level, shift: float):
    """Levels moved towards noise (Esser et al. 2024, eq. 23); a float or a tensor."""
    return shift * level / (1 + (shift - 1) * level)


def noise(seed: int, block: int, step: int, shape: Sequence[int], like: Tensor) -> Tensor:
    """Noise `b n c h w` that depends on where it is used alone; sample i of a batch has that of seed + i.

    Drawn on the host in fp32, so that it is the same on every device, then moved as `like` is.
    """
    drawn = []
    for i in range(shape[0]):
        key = random.Random(f"{seed + i}/{block}/{step}").getrandbits(63)
        drawn.append(torch.randn(*shape[1:], generator=torch.Generator().manual_seed(key)))
    return torch.stack(drawn).to(like)


def next_block(
    net: StreamNet | Replays,
    cache: Cache,
    actions: Actions,
    image: Tensor | None,
    *,
    size: tuple[int, int],
    seed: int,
    sampling: Sampling,
    context: Tensor | None = None,
) -> tuple[Tensor, Cache]:
    """The next block's clean latents and the cache after it: one pass a step, and one over what came out.

    Args:
        actions: of the frames of this block.
        image: latent 0 of the seed picture `b c h w`, or None.
        size: height and width of the latents.
        seed: same seed, cache and actions, same latents.
    """
    config, like, block = net.config, cache.rings[0].tokens.k, cache.start // net.config.rule.block
    shape = (actions.keys.shape[0], config.rule.block, config.channels, *size)
    levels = sampling.levels
    x, past = noise(seed, block, 0, shape, like), None
    for i, (level, after) in enumerate(zip(levels, [*levels[1:], 0.0], strict=True)):
        v, cache = net(x, flat(level, x), actions, image, context=context, cache=cache)
        if sampling.loop == "adams":
            x, past = moved(x, v, after - level, past), (v, after - level)
        else:
            x = (
                noised(x - level * v, after, noise(seed, block, i + 1, shape, like))
                if after
                else x - level * v
            )
    seen = (
        noised(x, sampling.remember, noise(seed, block, len(levels), shape, like)) if sampling.remember else x
    )
    _, cache = net(seen, flat(sampling.remember, x), actions, image, context=context, cache=cache)
    return x, advance(cache, config, actions)


def moved(x: Tensor, v: Tensor, step: float, past: tuple[Tensor, float] | None) -> Tensor:
    """`x` after a step along its velocity `v`, whose change since the step before, if there was one, goes on; `past` is
    the velocity there and the length of that step."""
    if past is None:
        return x + step * v
    before, length = past
    return x + step * (v + step / (2 * length) * (v - before))


def noised(clean: Tensor, level: Tensor | float, noise: Tensor) -> Tensor:
    """Clean latents with a share of noise."""
    return (1 - level) * clean + level * noise


def flat(level: float, x: Tensor) -> Tensor:
    """One level for all latents of `x`: `b n`."""
    return torch.full(x.shape[:2], level, device=x.device)
