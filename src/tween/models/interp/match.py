"""Global matching of two feature maps and the motion it gives at a time between (all at one coarse level)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.ops.warp import backward_warp, forward_splat, pixel_grid, resize_flow

TOKENS = 2304  # 48 x 48: a frame of 768 x 768 at 1/16


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


def scores(key: Tensor, other: Tensor) -> Tensor:
    """Similarity `b hw hw` of every position of one frame to every position of the other, fp32; keys `b c h w`."""
    with torch.autocast(key.device.type, enabled=False):
        query, keys = (k.float().flatten(2) for k in (key, other))
        return query.mT @ keys * key.shape[1] ** -0.5


def global_match(key: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Displacement by soft-argmax in a 7x7 window around the best of all positions of the other frame.

    The window is what lets a network trained on small crops match large frames: the mean over all positions
    (GMFlow, Xu et al., CVPR 2022) is drawn to the middle of the picture by every diffuse match, the more so the
    larger the picture. Above `TOKENS` positions the keys are pooled first, which bounds memory at any size.

    Args:
        key, other: `b c h w`.

    Returns:
        (displacement `b 2 h w` in pixels of this level, certainty `b 1 h w` in (0, 1]: the window's probability).
    """
    h, w = key.shape[-2:]
    if h * w > TOKENS:
        v, certainty = global_match(
            F.avg_pool2d(key, 2, ceil_mode=True), F.avg_pool2d(other, 2, ceil_mode=True)
        )
        return resize_flow(v, 2)[..., :h, :w], F.interpolate(certainty, scale_factor=2)[..., :h, :w]
    with torch.autocast(key.device.type, enabled=False):
        probability = scores(key, other).softmax(-1)
        here = pixel_grid(h, w, key.device).flatten(2)[0]
        best = here[:, probability.detach().argmax(-1)]  # 2 b q
        near = ((best[..., None] - here[:, None, None]).abs() <= 3).all(0)
        probability = probability * near
        certainty = probability.sum(-1, keepdim=True)
        target = probability @ here.T / certainty
    v = target.mT - here
    return v.unflatten(2, (h, w)), certainty.mT.unflatten(2, (h, w))


def mutual(v: Tensor, back: Tensor) -> Tensor:
    """`v` (`b 2 h w`, pixels of its level) where following it and then `back` returns to within a pixel; fading to
    zero elsewhere. A false match is seldom returned, and the more positions there are the more false matches."""
    error = (v + backward_warp(back, v)).norm(dim=1, keepdim=True)
    return v * torch.sigmoid(4 * (1 - error))


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
