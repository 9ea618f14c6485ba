"""From features to a residual and the last word on the blend."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tween.models.interp.flow import conv

Levels = list[Tensor]


def deconv(c_in: int, c_out: int) -> nn.Sequential:
    """Twice the size by a 4x4 transposed convolution, and a PReLU a channel."""
    return nn.Sequential(nn.ConvTranspose2d(c_in, c_out, 4, 2, 1), nn.PReLU(c_out))


class PyramidRefine(nn.Module):
    """RefineNet of the thesis plan: decodes the levels of its sources and sees no image.

    Args:
        sources: width of the finest level of each source (backbone, context of frame 0, of frame 1).
    """

    def __init__(self, sources: list[int], width: int = 32, stem_stride: int = 1) -> None:
        super().__init__()
        c, total = width, sum(sources)
        self.up2 = deconv(4 * total, 2 * c)
        self.up1 = deconv(2 * c + 2 * total, c)
        self.last = nn.Sequential(conv(c + total, c), nn.Conv2d(c, 4 * stem_stride**2, 3, 1, 1))
        self.shuffle = nn.PixelShuffle(stem_stride)

    def forward(self, images: Tensor | None, sources: list[Levels]) -> Tensor:
        """Three levels a source -> `b 4 h w`: residual logits and mask logit."""
        fine, middle, coarse = (torch.cat(level, 1) for level in zip(*sources, strict=True))
        x = self.up2(coarse)
        x = self.up1(torch.cat((x, middle), 1))
        return self.shuffle(self.last(torch.cat((x, fine), 1))).float()


class UNetRefine(nn.Module):
    """A U-Net over images, warped images, flow and mask, with the sources joined at the levels they live on.

    Down to 1 / 4s of the frame by strided pairs of convolutions, and back up with skips (RIFE's refinement).
    """

    def __init__(self, sources: list[int], c_images: int, width: int = 32, stem_stride: int = 4) -> None:
        super().__init__()
        self.free = {1: 0, 2: 1, 4: 2}[stem_stride]  # levels above the sources' finest
        levels = self.free + 3
        c = [width * 2**i for i in range(levels)]
        joined = [sum(sources) * 2 ** (i - self.free) if i >= self.free else 0 for i in range(levels)]
        self.down = nn.ModuleList(
            nn.Sequential(
                conv(c_images if i == 0 else c[i - 1] + joined[i - 1], c[i], 1 + (i > 0)), conv(c[i], c[i])
            )
            for i in range(levels)
        )
        self.up = nn.ModuleList(
            deconv((c[i] if i == levels - 1 else 2 * c[i]) + joined[i], c[i - 1])
            for i in range(levels - 1, 0, -1)
        )
        self.last = nn.Sequential(conv(2 * c[0] + joined[0], c[0]), nn.Conv2d(c[0], 4, 3, 1, 1))

    def forward(self, images: Tensor, sources: list[Levels]) -> Tensor:
        """Images `b c h w` and three levels a source -> `b 4 h w`: residual logits and mask logit."""
        joined = [[]] * self.free + [list(level) for level in zip(*sources, strict=True)]
        skips, x = [], images
        for down, extra in zip(self.down, joined, strict=True):
            x = torch.cat([down(x), *extra], 1)
            skips.append(x)
        for up in self.up:
            skips.pop()
            x = torch.cat((up(x), skips[-1]), 1)
        return self.last(x).float()
