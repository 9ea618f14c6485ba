"""Which patches of a picture, or which frames of a clip, are given. Masks are nested: what a sparse level gives, every
denser one gives too, so that a level is a place on one path from the whole to a few."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from tween.core import TweenError


def patch_order(b: int, n: int, *, generator: torch.Generator | None = None) -> Tensor:
    """`b n`: the rank of each patch in a random order, one a sample. The patches of the lowest ranks are given."""
    noise = torch.rand(b, n, generator=generator, device=generator.device if generator else None)
    return noise.argsort(1).argsort(1)


def frame_order(b: int, t: int, *, generator: torch.Generator | None = None) -> Tensor:
    """`b t`: the rank of each frame; the two ends come first, so that every gap has a keyframe on both sides.

    Without a generator the others follow by bisection, each in the middle of the longest gap left (the earliest of
    equal ones): keyframes stay as even as nested ones can be. With one they follow at random.
    """
    if generator is None:
        return _bisection(t).repeat(b, 1)
    inner = patch_order(b, max(t - 2, 0), generator=generator) + 2
    ends = inner.new_tensor([[0, 1]])[:, :t].expand(b, -1)
    return torch.cat([ends[:, :1], inner, ends[:, 1:]], 1)


def nested(order: Tensor, k: Tensor | int) -> Tensor:
    """`b n` bool: true for the k of lowest rank.

    Args:
        order: `b n` ranks, as `patch_order` and `frame_order` give them.
        k: how many, for all or `b` of them.
    """
    return order < torch.as_tensor(k, device=order.device).reshape(-1, 1)


def every(t: int, gap: int) -> Tensor:
    """`t` bool: a keyframe every `gap` frames, and the last one."""
    index = torch.arange(t)
    return (index % gap == 0) | (index == t - 1)


def geometric(n: int, k_min: int, levels: int) -> tuple[int, ...]:
    """How many are given at level 0 (all) to `levels` (`k_min`), each the same part of the level before."""
    _check(n, k_min, levels)
    return tuple(round(n * (k_min / n) ** (s / levels)) for s in range(levels + 1))


def doubling(n: int, k_min: int, levels: int) -> tuple[int, ...]:
    """As `geometric`, but twice as many with every level up, n at most."""
    _check(n, k_min, levels)
    return n, *(min(n, k_min * 2**s) for s in reversed(range(levels)))


def linear(n: int, k_min: int, levels: int) -> tuple[int, ...]:
    """As `geometric`, but the same number fewer with every level."""
    _check(n, k_min, levels)
    return tuple(round(n + (k_min - n) * s / levels) for s in range(levels + 1))


def draw_levels(b: int, levels: int, *, generator: torch.Generator | None = None) -> Tensor:
    """`b` levels, uniform over 1 to `levels`: level 0, where all is given, leaves nothing to learn."""
    device = generator.device if generator else None
    return torch.randint(1, levels + 1, (b,), generator=generator, device=device)


def _bisection(t: int) -> Tensor:
    given = [0, t - 1][:t]
    while len(given) < t:
        known = sorted(given)
        a, b = max(pairwise(known), key=lambda gap: (gap[1] - gap[0], -gap[0]))
        given.append((a + b) // 2)
    return torch.tensor(given).argsort()


def _check(n: int, k_min: int, levels: int) -> None:
    if not (1 <= k_min <= n and levels >= 1):
        raise TweenError(
            f"a schedule needs 1 <= k_min <= n and a level or more, but got k_min {k_min}, n {n}, levels {levels}"
        )
