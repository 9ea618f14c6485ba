"""From features to a residual and the last word on the blend."""

from __future__ import annotations

from collections.abc import Sequence

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

    def forward(self, sources: list[Levels]) -> Tensor:
        """Three levels a source -> `b 4 h w`: residual logits and mask logit."""
        fine, middle, coarse = (torch.cat(level, 1) for level in zip(*sources, strict=True))
        x = self.up2(coarse)
        x = self.up1(torch.cat((x, middle), 1))
        return self.shuffle(self.last(torch.cat((x, fine), 1))).float()


class UNetRefine(nn.Module):
    """A U-Net whose last layer is zero at first; each of its coarser levels sees what else is known at that size.

    Args:
        c_in: of the input.
        joined: channels that join at 1/2, 1/4, ... of the input's size.
        widths: of the input's own level and of each of those.
        c_out: of the result.
    """

    def __init__(self, c_in: int, joined: Sequence[int], widths: Sequence[int], c_out: int) -> None:
        super().__init__()
        both = [own + more for own, more in zip(widths, (0, *joined), strict=True)]
        self.down = nn.ModuleList(
            nn.Sequential(conv(a, b, 1 + (i > 0)), conv(b, b))
            for i, (a, b) in enumerate(zip((c_in, *both), widths, strict=False))
        )
        below = [both[-1], *(own + all_ for own, all_ in zip(widths[-2:0:-1], both[-2:0:-1], strict=True))]
        self.up = nn.ModuleList(deconv(a, b) for a, b in zip(below, widths[-2::-1], strict=True))
        self.last = conv(2 * widths[0], widths[0])
        self.head = nn.Conv2d(widths[0], c_out, 3, 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, joined: Sequence[Tensor]) -> Tensor:
        """`b c h w` and what joins at h/2, h/4, ..., rounded up, to `b c_out h w` in fp32."""
        skips = []
        for down, extra in zip(self.down, ([], *([j] for j in joined)), strict=True):
            x = torch.cat([down(x), *extra], 1)
            skips.append(x)
        x = skips.pop()
        for up in self.up:
            h, w = skips[-1].shape[-2:]
            x = torch.cat((up(x)[..., :h, :w], skips.pop()), 1)  # of an odd size one row too many
        return self.head(self.last(x)).float()
