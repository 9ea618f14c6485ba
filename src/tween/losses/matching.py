"""Whether places of one frame are matched to where they went in the other."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.ops.warp import backward_warp, pixel_grid


def returns(v: Tensor, back: Tensor) -> Tensor:
    """`b hw`: where following `v` and then `back` returns to within a cell, so that nothing has come in front."""
    return ((v + backward_warp(back, v)).norm(dim=1) < 1).flatten(1)


def matching_nll(score: Tensor, flow: Tensor, counts: Tensor) -> Tensor:
    """Cross-entropy in nats of a matching against where each position went, shared by the four positions around.

    Args:
        score: `b hw hw`, unnormalised; of every position to every position of the other frame.
        flow: `b 2 h w`, exact, in pixels of the level.
        counts: `b hw`, 1 where the truth is known and visible; what leaves the picture is left out.
    """
    h, w = flow.shape[-2:]
    x, y = (pixel_grid(h, w, flow.device) + flow).flatten(2).unbind(1)
    inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    x, y = x.clamp(0, w - 1), y.clamp(0, h - 1)
    log_p = score.log_softmax(-1)
    total = torch.zeros_like(x)
    for dy in (0, 1):
        for dx in (0, 1):
            cx, cy = (x.floor() + dx).clamp(max=w - 1), (y.floor() + dy).clamp(max=h - 1)
            share = (1 - (x - x.floor() - dx).abs()) * (1 - (y - y.floor() - dy).abs())
            total = total - share * log_p.gather(2, (cy * w + cx).long()[..., None])[..., 0]
    counts = inside * counts
    return (total * counts).sum() / counts.sum().clamp_min(1)
