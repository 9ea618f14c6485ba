"""What a network does, to be looked at while it trains: the frames, what it made of them, the flow, the mask."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tween.data.clips import Triples
from tween.models.interp.net import HybridNet


@torch.no_grad()
def pictures(modules: nn.ModuleDict, step: int, *, batch: Triples, rows: int = 4) -> dict[str, Tensor]:
    """One row a sample of `batch`.

    Returns:
        frames: frame 0, frame 1, the truth, what was made, five times their difference.
        motion (where there is flow): flow_t0, flow_t1 in the colours of `flow_colours`, the weight of frame 0.
    """
    net: HybridNet = modules["net"]
    image0, truth, image1 = batch.frames[:rows].unbind(1)
    filled = net(image0, image1, batch.t[:rows])
    made = filled.prediction.float().clamp(0, 1)
    sheets = {"frames": [image0, image1, truth, made, (5 * (made - truth).abs()).clamp(max=1)]}
    if net.config.has_flow:
        mask = filled.mask.float().expand(-1, 3, -1, -1)
        sheets["motion"] = [flow_colours(filled.flow_t0), flow_colours(filled.flow_t1), mask]
    return {
        name: torch.cat([torch.cat([*row], -1) for row in zip(*sheet, strict=True)], -2)
        for name, sheet in sheets.items()
    }


def flow_colours(flow: Tensor) -> Tensor:
    """Flow `b 2 h w` px -> `b 3 h w` in [0, 1]: direction as hue, length as saturation, white where nothing moves.

    Each sample's own greatest length (at least one pixel) is the most saturated.
    """
    dx, dy = flow.float().unbind(1)
    length = (dx**2 + dy**2).sqrt()
    strength = (length / length.amax((1, 2), keepdim=True).clamp(min=1))[:, None]
    angle = torch.atan2(dy, dx)[:, None]
    shifts = torch.tensor((0.0, 2 / 3, 4 / 3), device=flow.device).view(1, 3, 1, 1) * math.pi
    return 1 - strength * (0.5 - 0.5 * torch.cos(angle - shifts))
