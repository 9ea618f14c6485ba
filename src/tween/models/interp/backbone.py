"""Features of two frames that have seen each other: a convolutional stem and LGS blocks at three levels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tween.models.interp.config import NetConfig
from tween.nn.lgs import LGSBlock

STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2)}
"""How a pair of 3x3 convolutions shares a total stride."""


class Stem(nn.Module):
    """Two convolutions on one frame, at 1 / stem_stride."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        first, second = STRIDES[config.stem_stride]
        self.conv1 = nn.Conv2d(3, config.width, 3, first, 1)
        self.conv2 = nn.Conv2d(config.width, config.width, 3, second, 1)
        self.act = nn.LeakyReLU(0.1)

    def forward(self, image: Tensor) -> Tensor:
        """`b 3 h w` -> `b d h/s w/s`."""
        return self.act(self.conv2(self.act(self.conv1(image))))


class Merge(nn.Module):
    """Two frames' features as one: concatenated and projected."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.proj = nn.Linear(2 * d, d)

    def forward(self, x: Tensor) -> Tensor:
        """`b h w 2 d` -> `b h w d`."""
        return self.proj(x.flatten(3))


class Sum(nn.Module):
    """Two frames' features as one: added, as the thesis plan has it."""

    def forward(self, x: Tensor) -> Tensor:
        """`b h w 2 d` -> `b h w d`."""
        return x.sum(3)


class Backbone(nn.Module):
    """Stem, then LGS blocks at widths d, 2d, 4d with a strided convolution between the levels."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        widths = [config.width * 2**i for i in range(3)]
        self.stem = Stem(config)
        self.levels = nn.ModuleList(
            nn.ModuleList(LGSBlock(d, config.block, shifted=i % 2 == 1) for i in range(depth))
            for d, depth in zip(widths, config.depths, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(d, 2 * d, 3, 2, 1) for d in widths[:2])
        self.merge = nn.ModuleList(Sum() if config.merge == "sum" else Merge(d) for d in widths)

    def encode(self, image: Tensor) -> Tensor:
        """What one frame needs alone: its stem features."""
        return self.stem(image)

    def pair(self, stem0: Tensor, stem1: Tensor) -> list[Tensor]:
        """Stem features `b d h w` of both frames -> three levels `b d h w`, `b 2d h/2 w/2`, `b 4d h/4 w/4`."""
        x = torch.stack((stem0, stem1), 1)
        features = []
        for i, blocks in enumerate(self.levels):
            if i:
                x = self.down[i - 1](x.flatten(0, 1)).unflatten(0, (-1, 2))
            tokens = x.permute(0, 3, 4, 1, 2)
            for block in blocks:
                tokens = block(tokens)
            features.append(self.merge[i](tokens).permute(0, 3, 1, 2))
            x = tokens.permute(0, 3, 4, 1, 2)
        return features

    def forward(self, image0: Tensor, image1: Tensor) -> list[Tensor]:
        """Two frames `b 3 h w` -> their merged features at three levels."""
        return self.pair(self.encode(image0), self.encode(image1))
