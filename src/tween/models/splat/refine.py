"""The last word on a rendered picture: where nothing was seen, what was blurred, which known frame shows it better."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.models.splat.config import SplatConfig
from tween.models.splat.encoder import conv


class Refine(nn.Module):
    """A U-Net from 1/2 to 1/8 over everything that was rendered: weights of three pictures, and a residual.

    The pictures are the rendered one and the two known frames of the interval, warped by the rendered flow. A frame's
    weight vanishes at the time of the other.
    """

    def __init__(self, config: SplatConfig) -> None:
        super().__init__()
        a, b, c = config.unet
        self.first = nn.Sequential(conv(4 * 16, a), conv(a, a))
        self.down1 = nn.Sequential(conv(a, b, 2), conv(b, b))
        self.down2 = nn.Sequential(conv(b, c, 2), conv(c, c))
        self.up2, self.up1 = conv(c + b, b), conv(b + a, a)
        self.out = nn.Sequential(nn.Conv2d(a, 4 * 6, 3, 1, 1), nn.PixelShuffle(2))
        nn.init.zeros_(self.out[0].weight)
        nn.init.zeros_(self.out[0].bias)

    def forward(
        self, pictures: Tensor, flow: Tensor, coverage: Tensor, depth: Tensor, between: Tensor
    ) -> Tensor:
        """`b 3 h w`, not clamped.

        Args:
            pictures: `b 3 3 h w`: rendered, left warped, right warped.
            flow: `b 4 h w` px, from the rendered picture into both frames.
            coverage, depth: `b 1 h w`; depth is a log.
            between: `b`, 0 at the left frame, 1 at the right one.
        """
        w = torch.stack((torch.ones_like(between), 1 - between, between), 1)[..., None, None, None]
        plane = between.view(-1, 1, 1, 1).expand_as(coverage)
        seen = [(pictures - 0.5).flatten(1, 2), flow / 16, coverage, depth, plane]
        x0 = self.first(F.pixel_unshuffle(torch.cat(seen, 1), 2))
        x1 = self.down1(x0)
        x2 = self.down2(x1)
        x1 = self.up2(torch.cat((grown(x2), x1), 1))
        out = self.out(self.up1(torch.cat((grown(x1), x0), 1))).float()
        weight = out[:, :3].clamp(-12, 12).exp()[:, :, None] * w
        return (pictures * weight).sum(1) / weight.sum(1) + out[:, 3:]


def grown(x: Tensor) -> Tensor:
    """Twice the size."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
