"""Global matching of two feature maps: where each position of one frame lies in the other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.ops.warp import backward_warp, pixel_grid, resize_flow

TOKENS = 2304  # 48 x 48: a frame of 768 x 768 at 1/16


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
