"""Frames close to a known one. The network corrects motion by parts of a pixel whatever the time, and so shows 34 dB of
what should be the known frame itself (`bench.near`): from 29.97 to 60 frames a second that is every second frame."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.models.interp.fast import Filled
from tween.ops.warp import backward_warp

NEAR = 0.15  # of the gap, to each side: no worse than the network on average up to there, `bench.near`


def inner(t: float) -> float:
    """Where the network is asked for a frame at `t` in [0, 1]: there, or at the nearer of `NEAR` and 1 - `NEAR`."""
    return min(max(t, NEAR), 1 - NEAR)


def drawn_in(image0: Tensor, image1: Tensor, found: Filled, at: Tensor, t: Tensor) -> Tensor:
    """The frame `b 3 h w` at `t`, closer to a known frame than `at`, where `found` is: motion goes on evenly, and the
    other frame and the residual fade, so that at 0 and 1 the known frames come out.

    Args:
        image0, image1: `b 3 h w`.
        at, t: `b`, times in (0, 1) and [0, 1].
    """
    at, t = at.view(-1, 1, 1, 1), t.view(-1, 1, 1, 1)
    along, back = t / at, (1 - t) / (1 - at)
    fade0, fade1 = along.clamp(max=1), back.clamp(max=1)  # one of the two is 1
    warped0 = backward_warp(image0, found.flow_t0 * along)
    warped1 = backward_warp(image1, found.flow_t1 * back)
    mask = 1 - (1 - found.mask * fade1) * fade0
    return torch.lerp(warped1, warped0, mask) + found.residual * (fade0 * fade1)
