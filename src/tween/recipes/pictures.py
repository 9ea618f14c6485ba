"""What a network does, to be looked at while it trains: the frames, what it made of them, the flow, the mask."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tween.models.interp.net import HybridNet

ROWS = 4

Shown = tuple[Tensor, Tensor]
"""Frames `b 3 3 h w` (frame 0, frame t, frame 1) and t `b`."""


def shown(scenes: Sequence[Any], batch: Callable[[int], Any], device: torch.device) -> Shown:
    """What to look at: the first scenes that are validated on, of one size, or else of the first batch."""
    if not scenes:
        first = batch(0)
        return first.frames[:ROWS], first.t[:ROWS]
    loaded = [scene.load() for scene in scenes[:ROWS]]
    alike = [
        (frames, s)
        for frames, s in zip(loaded, scenes, strict=False)
        if frames[0].shape == loaded[0][0].shape
    ]
    t = torch.tensor([float(s.t) for _, s in alike])
    return torch.stack([torch.stack(tuple(frames)) for frames, _ in alike]).to(device), t.to(device)


@torch.no_grad()
def pictures(modules: nn.ModuleDict, step: int, *, shown: Callable[[], Shown]) -> dict[str, Tensor]:
    """One row a sample of `shown`.

    Returns:
        frames: frame 0, frame 1, the truth, what was made, five times their difference.
        motion (where there is flow): flow_t0, flow_t1 in the colours of `flow_colours`, the weight of frame 0.
    """
    net: HybridNet = modules["net"]
    frames, t = shown()
    image0, truth, image1 = frames.unbind(1)
    filled = net(image0, image1, t)
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
