"""Global matching of two feature maps and the motion it gives at a time between (all at one coarse level)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.ops.warp import forward_splat, pixel_grid


class Motion(NamedTuple):
    """One pair at 1/16: displacement in 1/16 px, certainty of the match, splat importance, context of both frames."""

    v01: Tensor
    v10: Tensor
    certainty0: Tensor
    certainty1: Tensor
    importance0: Tensor
    importance1: Tensor
    context0: Tensor
    context1: Tensor


def global_match(key: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Displacement by soft-argmax over all positions of the other frame (GMFlow, Xu et al., CVPR 2022, eq. 3-4).

    Written as attention whose values are coordinates, so that a memory-linear kernel serves 4K. Values are padded
    to the width of the keys: fused kernels want them equal.

    Args:
        key, other: `b c h w`.

    Returns:
        (displacement `b 2 h w` in pixels of this level, certainty `b 1 h w` in (0, 1]: 1 / (1 + variance)).
    """
    b, c, h, w = key.shape
    here = pixel_grid(h, w, key.device)
    value = torch.cat((here, here.square().sum(1, keepdim=True)), 1).flatten(2).mT
    value = F.pad(value, (0, c - 3)).expand(b, -1, -1)
    with torch.autocast(key.device.type, enabled=False):
        query, keys = (k.float().flatten(2).mT for k in (key, other))
        mean = F.scaled_dot_product_attention(query[:, None], keys[:, None], value[:, None])[:, 0, :, :3]
    target, square = mean.mT.reshape(b, 3, h, w).split((2, 1), 1)
    variance = (square - target.square().sum(1, keepdim=True)).clamp_min(0)
    return target - here, 1 / (1 + variance)


def motion_at(m: Motion, t: Tensor) -> tuple[Tensor, Tensor]:
    """Flow from time t into both frames, by carrying each frame's motion along itself to t (softmax splatting).

    Args:
        m: `Motion` (v01, v10 in pixels of the level, certaintys, importances > 0).
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
