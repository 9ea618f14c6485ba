"""Frames close to a known one. A network corrects motion by parts of a pixel whatever the time, and so shows 34 dB of
what should be the known frame itself (`bench.near`): from 29.97 to 60 frames a second that is every second frame. So it
is asked for a frame further in, and before its last warps the motion it found is scaled to the time that is shown."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

NEAR = 0.15  # of the gap, to each side: no worse than the network on average up to there, `bench.near`


class Pace(NamedTuple):
    """How far a frame that is shown lies on the way to the one that a network finds: `b 1 1 1` each.

    `along`, `back` scale the flow to frame 0 and to frame 1; `fade0`, `fade1` are 0 at that frame and 1 from where the
    network is asked on: one of the two is always 1.
    """

    along: Tensor
    back: Tensor
    fade0: Tensor
    fade1: Tensor


def inner(shown: Tensor) -> Tensor:
    """Times in [0, 1] to those at which a network is asked: the same, or the nearer of `NEAR` and 1 - `NEAR`."""
    return shown.clamp(NEAR, 1 - NEAR)


def pace(t: Tensor, shown: Tensor) -> Pace:
    """For a network asked at `t` (`b` in (0, 1)) and a frame to be shown at `shown` (`b` in [0, 1])."""
    along, back = (x.view(-1, 1, 1, 1) for x in (shown / t, (1 - shown) / (1 - t)))
    return Pace(along, back, along.clamp(max=1), back.clamp(max=1))


def paced(flow: Tensor, by: Pace | None) -> tuple[Tensor, Tensor]:
    """Flows `b 4 h w` to t as the two from the frame that is shown, in pixels: motion goes on evenly."""
    flow_t0, flow_t1 = flow.split(2, 1)
    return (flow_t0, flow_t1) if by is None else (flow_t0 * by.along, flow_t1 * by.back)


def faded(mask: Tensor, residual: Tensor, by: Pace | None) -> tuple[Tensor, Tensor]:
    """Weight of frame 0 and residual; close to a frame the other one and the residual fade, so that it comes out as it
    is at 0 and at 1."""
    if by is None:
        return mask, residual
    both = by.fade0 * by.fade1
    return mask * both + (1 - by.fade0), residual * both
