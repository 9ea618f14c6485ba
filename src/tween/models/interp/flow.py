"""Flow from time t into both frames, coarse to fine (IFNet; Huang et al., RIFE, ECCV 2022)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.ops.warp import backward_warp


class Flow(NamedTuple):
    """Motion at t: `flow_t0`, `flow_t1` `b 2 h w` px, `mask_logit` `b 1 h w` of frame 0, both frames warped."""

    flow_t0: Tensor
    flow_t1: Tensor
    mask_logit: Tensor
    warped_0: Tensor
    warped_1: Tensor


def resample(x: Tensor, factor: float) -> Tensor:
    """Bilinear resize; factor 1 is free."""
    if factor == 1:
        return x
    size = [round(side * factor) for side in x.shape[-2:]]  # by a factor, 36 could become 35.99 and then 35
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def conv(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution and a PReLU a channel."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.PReLU(c_out))


class FlowBlock(nn.Module):
    """One step: what to add to flow and mask, seen at 1 / scale of the frame."""

    def __init__(self, c_in: int, c: int) -> None:
        super().__init__()
        self.down = nn.Sequential(conv(c_in, c // 2, 2), conv(c // 2, c, 2))
        self.body = nn.Sequential(*(conv(c, c) for _ in range(8)))
        self.up = nn.ConvTranspose2d(c, 5, 4, 2, 1)

    def forward(self, x: Tensor, flow: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
        """`b c h w` and flow `b 4 h w` px so far -> updates of flow `b 4 h w` px and mask logit `b 1 h w`."""
        x = resample(x, 1 / scale)
        if flow is not None:
            x = torch.cat((x, resample(flow, 1 / scale).to(x.dtype) / scale), 1)
        x = self.down(x)
        out = resample(self.up(self.body(x) + x).float(), scale * 2)
        return out[:, :4] * (scale * 2), out[:, 4:]


class FlowEstimator(nn.Module):
    """Three blocks, each seeing both frames, t and, from the second on, both frames warped by the flow so far."""

    def __init__(self, widths: tuple[int, int, int] = (240, 150, 90)) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FlowBlock(7 if i == 0 else 18, c) for i, c in enumerate(widths))

    def forward(
        self, image0: Tensor, image1: Tensor, t: Tensor, scale_list: tuple[float, ...] = (4, 2, 1)
    ) -> tuple[Flow, ...]:
        """Motion after each block, the last one finest.

        Args:
            image0, image1: `b 3 h w` in [0, 1]; h and w divide by 4 max(scale_list).
            t: `b` in [0, 1], 0 at image0.
            scale_list: each block works at 1 / scale of the frame; larger numbers see larger motion.
        """
        plane = t.to(image0.dtype).view(-1, 1, 1, 1).expand_as(image0[:, :1])
        steps: list[Flow] = []
        flow, mask = None, 0.0
        for block, scale in zip(self.blocks, scale_list, strict=True):
            seen = [image0, image1, plane]
            if steps:
                seen += [steps[-1].warped_0, steps[-1].warped_1, mask.to(image0.dtype)]
            more, logit = block(torch.cat(seen, 1), flow, scale)
            flow, mask = more if flow is None else flow + more, mask + logit
            flow_t0, flow_t1 = flow[:, :2], flow[:, 2:]
            warped = backward_warp(image0, flow_t0), backward_warp(image1, flow_t1)
            steps.append(Flow(flow_t0, flow_t1, mask, *warped))
        return tuple(steps)
