"""A splat network as a `Filler`: N frames around a gap, any number of times in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.splat.gaussians import Cloud
from tween.models.splat.net import Scene, SplatNet


@dataclass(frozen=True)
class Kept:
    """The last window: the times of its frames, its scene, and the clouds of the intervals asked for so far."""

    times: tuple[Fraction, ...] = ()
    scene: Scene | None = None
    clouds: tuple[tuple[int, Cloud], ...] = ()


class SplatFiller:
    """`frames` known ones, as many before a gap as after it, or one more before.

    At the ends of a scene the outermost frame comes repeatedly; it is then seen once, in a smaller window.

    Args:
        net: its weights in fp32.
        frames: N, two or more.
        dtype: bf16 or fp16 runs the network under autocast; geometry and rendering stay fp32.

    Raises:
        TweenError: on fewer than two frames.
    """

    def __init__(self, net: SplatNet, *, frames: int = 2, dtype: torch.dtype = torch.float32) -> None:
        if frames < 2:
            raise TweenError(f"splat needs two frames or more, but got --frames {frames}; use 2, 3 or 4")
        self.net, self.dtype = net.eval(), dtype
        self.past, self.future, self.multiple = (frames + 1) // 2, frames // 2, net.multiple
        # measured at 720p in fp32 on an H200 for one time, the last window still kept: 1,710, 1,940, 2,160 for N = 2,
        # 3 and 4
        self.bytes_per_pixel = 1_500.0 + 170 * frames

    def seeing(self, frames: int) -> SplatFiller:
        """The same network with another N."""
        return SplatFiller(self.net, frames=frames, dtype=self.dtype)

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> Kept:
        """Nothing seen yet. The network draws nothing, so `seed` has no effect."""
        return Kept()

    @torch.inference_mode()
    def fill(
        self,
        state: Kept,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, Kept]:
        """As `Filler.fill`, with n = past + future; frames in the type of `known`, clamped to [0, 1].

        Raises:
            TweenError: if a queried time is outside the window, or all frames have one time.
        """
        first = [i for i, t in enumerate(known_t) if i == 0 or t != known_t[i - 1]]
        times = tuple(known_t[i] for i in first)
        ask = positions(times, query_t)
        with torch.autocast(known.device.type, self.dtype, enabled=self.dtype != torch.float32):
            if state.scene is None or state.times != times:
                at = known.new_tensor(positions(times, times), dtype=torch.float32).expand(len(known), -1)
                state = Kept(times, self.net.scene(known[:, first].float(), at, area=self.net.config.area))
            clouds, made = dict(state.clouds), []
            for t in ask:
                when = torch.full((len(known),), t, device=known.device)
                left = sum(x <= t for x in positions(times, times[1:-1]))
                if left not in clouds:
                    clouds[left] = self.net.clouds(state.scene, torch.full_like(when, left, dtype=torch.long))
                made.append(self.net.at(state.scene, clouds[left], when).prediction.float().clamp(0, 1))
        return torch.stack(made, 1).to(known.dtype), Kept(times, state.scene, tuple(clouds.items()))


def positions(times: Sequence[Fraction], ask: Sequence[Fraction]) -> list[float]:
    """`ask` in mean gaps from the first of `times`.

    Raises:
        TweenError: if one lies outside them, or there is only one.
    """
    if len(times) < 2 or any(a >= b for a, b in pairwise(times)):
        raise TweenError("splat needs two frames or more at increasing times; add frames, or sort them")
    for t in ask:
        if not times[0] <= t <= times[-1]:
            raise TweenError(
                f"splat fills between its first and its last frame ({float(times[0]):g} s to {float(times[-1]):g} s), "
                f"but {float(t):g} s was asked for; give frames around that time"
            )
    gap = (times[-1] - times[0]) / (len(times) - 1)
    return [float((t - times[0]) / gap) for t in ask]
