"""Features of N frames: convolutions at 1/4 and 1/8, SS2D at 1/16 and 1/32, then Mamba2 over all frames at once."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.models.splat.config import SplatConfig
from tween.nn.lgs import LGSBlock
from tween.nn.mamba2 import Mamba2Branch


class Features(NamedTuple):
    """Of all frames `b n c h w` at 1/4, 1/8 and 1/16, the last of which has seen the other frames; and `paired`
    `b p c h w` at 1/16, from which `neighbours` are matched: the frame a pair goes from, which has seen the other one.
    """

    quarter: Tensor
    eighth: Tensor
    sixteenth: Tensor
    paired: Tensor


def conv(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution and LeakyReLU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.LeakyReLU(0.1, inplace=True))


class ScanBlock(nn.Module):
    """x + Mamba2(norm(x)), then x + MLP(norm(x)), scanned in four directions over the frames interleaved."""

    def __init__(self, d: int, config: SplatConfig) -> None:
        super().__init__()
        c = config
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.mamba = Mamba2Branch(d, d_state=c.d_state, headdim=c.headdim, chunk=c.chunk)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        for last in (self.mamba.out_proj, self.mlp[2]):
            nn.init.zeros_(last.weight)  # the block begins as nothing
        nn.init.zeros_(self.mlp[2].bias)

    def forward(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f d`, any f."""
        x = x + self.mamba(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def each(x: Tensor) -> Tensor:
    """Maps `b n c h w` as tokens `bn h w 1 c`: every frame alone."""
    return x.flatten(0, 1).permute(0, 2, 3, 1)[:, :, :, None]


def together(x: Tensor) -> Tensor:
    """Maps `b n c h w` as tokens `b h w n c`: a place next to its twins in the other frames."""
    return x.permute(0, 3, 4, 1, 2)


class Pyramid(nn.Module):
    """Convolutions on each frame at 1/4, 1/8, 1/16, 1/32, laid out as those of preset `fast`, whose weights fit."""

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        a, b, c, d = widths
        self.quarter = nn.Sequential(conv(48, a), conv(a, a))
        self.eighth = nn.Sequential(conv(a, b, 2), conv(b, b))
        self.sixteenth = nn.Sequential(conv(b, c, 2), conv(c, c))
        self.last = nn.Sequential(conv(c, d, 2), conv(d, d))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`m 3 h w` in [0, 1] to 1/4, 1/8 and 1/16."""
        quarter = self.quarter_of(image)
        eighth = self.eighth(quarter)
        return quarter, eighth, self.sixteenth(eighth)

    def quarter_of(self, image: Tensor) -> Tensor:
        """`m 3 h w` in [0, 1] to 1/4 alone."""
        return self.quarter(F.pixel_unshuffle(image - 0.5, 4))


class Encoder(nn.Module):
    """Convolutions, SS2D of each frame alone, then fusion over time: LGS blocks (Mamba2 over all frames interleaved,
    and attention) at 1/32, Mamba2 at 1/16."""

    def __init__(self, config: SplatConfig) -> None:
        super().__init__()
        *_, c, d = config.widths
        self.pyramid = Pyramid(config.widths)
        self.alone16, self.alone32, self.fuse16 = (
            nn.ModuleList(ScanBlock(width, config) for _ in range(count))
            for width, count in zip((c, d, c), (*config.alone, config.fusion[1]), strict=True)
        )
        self.blocks = nn.ModuleList(
            LGSBlock(d, config.block, shifted=i % 2 == 1) for i in range(config.fusion[0])
        )
        self.down = nn.Conv2d(d, c, 1)
        self.mix = conv(c, c)
        self.when = nn.Linear(2 * len(WAVES), d)
        nn.init.zeros_(self.when.weight)
        nn.init.zeros_(self.when.bias)

    def forward(self, frames: Tensor, times: Tensor) -> Features:
        """Frames `b n 3 h w` in [0, 1], sides multiples of 32, at `times` `b n` in units of the mean gap."""
        n = frames.shape[1]
        quarter, eighth, x16 = self.pyramid(frames.flatten(0, 1))
        x32 = self.pyramid.last(x16)
        parts = quarter, eighth, alone(self.alone16, x16), alone(self.alone32, x32)
        quarter, eighth, x16, x32 = (x.unflatten(0, (-1, n)) for x in parts)
        whole = self.over_time(x16, x32, times)
        return Features(quarter, eighth, whole, whole if n == 2 else self.in_pairs(x16, x32))

    def in_pairs(self, x16: Tensor, x32: Tensor) -> Tensor:
        """As `Features.paired`. A place that has seen all frames is not matched by what is there in these two alone:
        of four frames in fast motion that lost up to 7 dB (bench/splat_windows_real.py)."""
        n = x16.shape[1]
        x16, x32 = (torch.stack((x[:, :-1], x[:, 1:]), 2).flatten(0, 1) for x in (x16, x32))
        times = torch.arange(2.0, device=x16.device).expand(len(x16), -1)
        return torch.cat(self.over_time(x16, x32, times).unflatten(0, (-1, n - 1)).unbind(2), 1)

    def over_time(self, x16: Tensor, x32: Tensor, times: Tensor) -> Tensor:
        """`b n c h w` at 1/16, and those at 1/32, which see one another."""
        n = x16.shape[1]
        x32 = x32 + self.when(waves(times).to(x32.dtype))[..., None, None]
        x32 = fused(self.blocks, x32).flatten(0, 1)
        x16 = x16.flatten(0, 1)
        x16 = x16 + F.interpolate(self.down(x32), scale_factor=2, mode="bilinear", align_corners=False)
        return fused(self.fuse16, self.mix(x16).unflatten(0, (-1, n)))


WAVES = range(-1, 2)  # log2 of quarter turns a gap


def waves(times: Tensor) -> Tensor:
    """`...` -> `... 6`: sines and cosines of the times about their middle."""
    octaves = torch.arange(WAVES.start, WAVES.stop, device=times.device, dtype=times.dtype).exp2()
    angle = (times - times.mean(-1, keepdim=True))[..., None] * octaves * (math.pi / 2)
    return torch.cat((angle.sin(), angle.cos()), -1)


def alone(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """Frames `m c h w` through `blocks`, each by itself."""
    tokens = each(x[None])
    for block in blocks:
        tokens = block(tokens)
    return tokens[:, :, :, 0].permute(0, 3, 1, 2)


def fused(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """Frames `b n c h w` through `blocks`, all of a sample together."""
    tokens = together(x)
    for block in blocks:
        tokens = block(tokens)
    return tokens.permute(0, 3, 4, 1, 2)
