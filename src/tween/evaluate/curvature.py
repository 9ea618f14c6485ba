"""How much the motion from one frame to another bends, judged by the true frame halfway."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tween.models.interp.baselines import dis_flow
from tween.ops.warp import backward_warp

MOST = 0.9  # motion is what this share of places moves by at most


class Bend(NamedTuple):
    """What straight lines get wrong.

    Attributes:
        motion: px by which nine of ten places move at most from the first frame to the last.
        offset: mean px by which places lie off halfway at the middle time.
        curvature: `offset` over mean displacement. Of constant acceleration a and mean velocity v it is |a| / (8 |v|).
        seen: share of places that can be followed into both frames, 0 to 1; the others do not count.
    """

    motion: float
    offset: float
    curvature: float
    seen: float


def bend(before: Tensor, middle: Tensor, after: Tensor) -> Bend:
    """Of frames `3 h w` in [0, 1] at times 0, 1/2 and 1, by OpenCV's DIS; nan where no place can be followed.

    A place of `middle` was at f0 before and is at f1 after, relative to where it is: it moved by f1 - f0, and halfway
    between them it is off by -(f0 + f1) / 2.
    """
    (f0, seen0), (f1, seen1) = followed(middle, before), followed(middle, after)
    seen = seen0 & seen1
    offset = ((f0 + f1) / 2).norm(dim=0)[seen].mean().item()
    moved = (f1 - f0).norm(dim=0)[seen].mean().item()
    return Bend(motion(before, after), offset, offset / max(moved, 1e-6), seen.float().mean().item())


def foreseen(frames: Tensor, middle: Tensor) -> float:
    """How much of the bend four frames tell: 1 where a parabola through the places of `frames` `4 3 h w` leads through
    those of `middle` `3 h w`, halfway between the inner two; 0 or less where a straight line is as good.

    With offset b of a place, as in `bend`, and accelerations a1 and a2 found at the inner frames, where it comes from
    and where it goes to, it is the share of sum |b|^2 that b' = -(a1 + a2) / 16 takes away: 1 - sum |b - b'|^2 / sum
    |b|^2. By DIS, of the places that can be followed through all; 0 if nothing bends.
    """
    first, before, after, last = frames
    (f0, seen0), (f1, seen1) = followed(middle, before), followed(middle, after)
    accelerations, seen = [], seen0 & seen1
    for here, back, forth, way in ((before, first, after, f0), (after, before, last, f1)):
        (d0, found0), (d1, found1) = followed(here, back), followed(here, forth)
        x = backward_warp(torch.cat((d0 + d1, (found0 & found1)[None].to(d0)))[None], way[None])[0]
        accelerations.append(x[:2])
        seen = seen & (x[2] > 0.9)
    offset, told = -(f0 + f1)[:, seen] / 2, -sum(accelerations)[:, seen] / 16
    whole, left = offset.square().sum().item(), (offset - told).square().sum().item()
    return 1 - left / whole if whole else 0.0


def motion(before: Tensor, after: Tensor) -> float:
    """px by which nine of ten places of `before` `3 h w` move at most; 0 if none can be followed into `after`."""
    flow, seen = followed(before, after)
    return torch.quantile(flow.norm(dim=0)[seen], MOST).item() if seen.any() else 0.0


def followed(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Flow `2 h w` in px from `a` to `b` (`3 h w` in [0, 1]), and where, `h w`, the way back returns to within a px."""
    there, back = dis_flow(a[None], b[None])
    return there[0], (there + backward_warp(back, there))[0].norm(dim=0) < 1
