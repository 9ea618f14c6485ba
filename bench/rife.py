"""RIFE's network (Huang et al., ECCV 2022, the form that takes any t), for timing only: its layers and sizes with
random weights. Three flow blocks at 1/4, 1/2 and 1/1 of the scale, context of both frames, a U-Net that corrects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.ops.warp import backward_warp, resize_flow


def conv(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution and PReLU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.PReLU(c_out))


def halve(c_in: int, c_out: int) -> nn.Sequential:
    """Two convolutions, the first with stride 2."""
    return nn.Sequential(conv(c_in, c_out, 2), conv(c_out, c_out))


def double(c_in: int, c_out: int) -> nn.Sequential:
    """4x4 transposed convolution with stride 2 and PReLU."""
    return nn.Sequential(nn.ConvTranspose2d(c_in, c_out, 4, 2, 1), nn.PReLU(c_out))


class FlowBlock(nn.Module):
    """Corrects flow and mask at 1 / (4 `scale`) of the size."""

    def __init__(self, c_in: int, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Sequential(conv(c_in, width // 2, 2), conv(width // 2, width, 2))
        self.body = nn.Sequential(*(conv(width, width) for _ in range(8)))
        self.last = nn.ConvTranspose2d(width, 5, 4, 2, 1)

    def forward(self, x: Tensor, flow: Tensor | None) -> tuple[Tensor, Tensor]:
        x = F.interpolate(x, scale_factor=1 / self.scale, mode="bilinear")
        if flow is not None:
            x = torch.cat((x, resize_flow(flow, 1 / self.scale).to(x.dtype)), 1)
        x = self.first(x)
        out = self.last(self.body(x) + x)
        out = F.interpolate(out.float(), scale_factor=2 * self.scale, mode="bilinear")
        return out[:, :4] * (2 * self.scale), out[:, 4:]


class Rife(nn.Module):
    """`b 3 h w` twice and t to the frame at t. Height and width must divide by 32."""

    def __init__(self, c: int = 16) -> None:
        super().__init__()
        self.flow = nn.ModuleList((FlowBlock(7, 240, 4), FlowBlock(18, 150, 2), FlowBlock(18, 90, 1)))
        self.context = nn.ModuleList((halve(3, c), halve(c, 2 * c), halve(2 * c, 4 * c), halve(4 * c, 8 * c)))
        self.down = nn.ModuleList(
            (halve(17, 2 * c), halve(4 * c, 4 * c), halve(8 * c, 8 * c), halve(16 * c, 16 * c))
        )
        self.up = nn.ModuleList(
            (double(32 * c, 8 * c), double(16 * c, 4 * c), double(8 * c, 2 * c), double(4 * c, c))
        )
        self.last = nn.Conv2d(c, 3, 3, 1, 1)

    def forward(self, image0: Tensor, image1: Tensor, t: float = 0.5) -> Tensor:
        time = torch.full_like(image0[:, :1], t)
        pair = torch.cat((image0, image1), 1)
        flow, mask = self.flow[0](torch.cat((pair, time), 1), None)
        warped0, warped1 = warp_both(image0, image1, flow)
        for block in list(self.flow)[1:]:
            x = torch.cat((pair, time, warped0, warped1, mask.to(pair.dtype)), 1)
            more, mask_more = block(x, flow)
            flow, mask = flow + more, mask + mask_more
            warped0, warped1 = warp_both(image0, image1, flow)
        contexts = self.warped_context(image0, flow[:, :2]), self.warped_context(image1, flow[:, 2:])
        x = torch.cat((pair, warped0, warped1, mask.to(pair.dtype), flow.to(pair.dtype)), 1)
        residual = self.refine(x, *contexts)
        weight = torch.sigmoid(mask)
        merged = warped1.float().lerp(warped0.float(), weight)
        return (merged + torch.sigmoid(residual.float()) * 2 - 1).clamp(0, 1)

    def warped_context(self, x: Tensor, flow: Tensor) -> list[Tensor]:
        """Features of one frame at 1/2, 1/4, 1/8 and 1/16, moved to t."""
        features = []
        for level in self.context:
            x, flow = level(x), resize_flow(flow, 0.5)
            features.append(backward_warp(x, flow))
        return features

    def refine(self, x: Tensor, context0: list[Tensor], context1: list[Tensor]) -> Tensor:
        """The U-Net's residual before its sigmoid."""
        skips = []
        for i, level in enumerate(self.down):
            x = level(x if i == 0 else torch.cat((x, context0[i - 1], context1[i - 1]), 1))
            skips.append(x)
        x = torch.cat((x, context0[3], context1[3]), 1)
        for i, level in enumerate(self.up):
            x = level(x if i == 0 else torch.cat((x, skips[3 - i]), 1))
        return self.last(x)


def warp_both(image0: Tensor, image1: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Both frames moved to t by `flow` (flow_t0, flow_t1)."""
    return backward_warp(image0, flow[:, :2]), backward_warp(image1, flow[:, 2:])
