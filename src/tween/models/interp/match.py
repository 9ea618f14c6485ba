"""What global matching gives at a time between two frames (all at one coarse level)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tween.ops.warp import forward_splat


class Motion(NamedTuple):
    """One pair at 1/16: displacement in 1/16 px, certainty of the match, splat importance, context of both frames,
    and the keys they were matched by."""

    v01: Tensor
    v10: Tensor
    certainty0: Tensor
    certainty1: Tensor
    importance0: Tensor
    importance1: Tensor
    context0: Tensor
    context1: Tensor
    key0: Tensor
    key1: Tensor


def motion_at(m: Motion, t: Tensor) -> tuple[Tensor, Tensor]:
    """Flow from time t into both frames, by carrying each frame's motion along itself to t (softmax splatting).

    Args:
        m: `Motion` (v01, v10 in pixels of the level, certainties in (0, 1], importances > 0).
        t: `b 1 1 1` in [0, 1].

    Returns:
        (flow_t0 and flow_t1 `b 4 h w`, evidence `b 8 h w`: how far each frame alone departs from it, how sure each
        was, how much of each arrived). Where nothing arrives the flow is zero; the refiner fills it in.
    """
    value0 = torch.cat((m.v01, m.certainty0, 1 / m.importance0), 1)
    value1 = torch.cat((-m.v10, m.certainty1, 1 / m.importance1), 1)
    total0, weight0 = forward_splat(value0, m.importance0, m.v01 * t)
    total1, weight1 = forward_splat(value1, m.importance1, m.v10 * (1 - t))
    near, far = 1 - t, t  # the nearer frame's motion counts more
    v = (near * total0[:, :2] + far * total1[:, :2]) / (near * weight0 + far * weight1 + 1e-3)
    alone0, alone1 = total0[:, :3] / (weight0 + 1e-3), total1[:, :3] / (weight1 + 1e-3)
    differ = torch.cat((alone0[:, :2] - v, alone1[:, :2] - v), 1).clamp(-16, 16) / 4
    arrived = torch.cat((total0[:, 3:], total1[:, 3:]), 1).clamp(0, 4)
    evidence = torch.cat((differ, alone0[:, 2:], alone1[:, 2:], arrived), 1)
    return torch.cat((-t * v, (1 - t) * v), 1), evidence
