"""Backward warp and forward splat, PyTorch only. Coordinates are fp32 whatever the image is: half-precision
coordinates are off by 0.2 px at 1080p and 0.5 px at 4K."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_grid(h: int, w: int, device: torch.device) -> Tensor:
    """Pixel centres `1 2 h w` in fp32, channel 0 is x."""
    y, x = torch.meshgrid(
        torch.arange(h, device=device, dtype=torch.float32),
        torch.arange(w, device=device, dtype=torch.float32),
        indexing="ij",
    )
    return torch.stack((x, y))[None]


def backward_warp(image: Tensor, flow: Tensor) -> Tensor:
    """`image` sampled at x + flow(x): bilinear, the border repeated outside (the convention of RIFE and IFRNet).

    Args:
        image: `b c h w`, any float type.
        flow: `b 2 h w` in pixels; `flow_t0` brings frame 0 to time t.

    Returns:
        `b c h w` in the type of `image`.
    """
    h, w = flow.shape[-2:]
    with torch.autocast(image.device.type, enabled=False):
        x, y = (pixel_grid(h, w, flow.device) + flow.float()).unbind(1)
        grid = torch.stack((x * (2 / max(w - 1, 1)) - 1, y * (2 / max(h - 1, 1)) - 1), -1)
        out = F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return out.to(image.dtype)


def forward_splat(value: Tensor, weight: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """`value` carried to x + flow(x) and shared bilinearly by the four pixels there (Niklaus & Liu, CVPR 2020).

    Args:
        value: `b c h w`.
        weight: `b 1 h w` >= 0, the importance of each source pixel where several meet.
        flow: `b 2 h w` in pixels.

    Returns:
        (sum of weight * value `b c h w`, sum of weights `b 1 h w`), fp32; divide them for the mean. What falls
        outside the picture is lost.
    """
    b, c, h, w = value.shape
    with torch.autocast(value.device.type, enabled=False):
        value, weight, flow = value.float(), weight.float(), flow.float()
        position = pixel_grid(h, w, flow.device) + flow
        corner = position.floor()
        carried = torch.cat((value * weight, weight), 1).flatten(2)
        out = carried.new_zeros(b, c + 1, h * w)
        for dy in (0, 1):
            for dx in (0, 1):
                x, y = corner[:, 0] + dx, corner[:, 1] + dy
                share = (1 - (position[:, 0] - x).abs()) * (1 - (position[:, 1] - y).abs())
                inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
                index = (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)).long().flatten(1)
                part = carried * (share * inside).flatten(1)[:, None]
                out = out.scatter_add(2, index[:, None].expand(-1, c + 1, -1), part)
    out = out.view(b, c + 1, h, w)
    return out[:, :c], out[:, c:]


def resize_flow(flow: Tensor, factor: float) -> Tensor:
    """`flow` (`b 2k h w`) on a grid `factor` times as fine, its vectors scaled with it."""
    return F.interpolate(flow, scale_factor=factor, mode="bilinear", align_corners=False) * factor
