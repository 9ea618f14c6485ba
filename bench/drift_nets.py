"""Stand-ins with random weights for what surrounds the drifting loss in a step: a refiner of 256 patches and a ResNet18
whose features are those of the plan's image experiment: 9, 125 or 126 at 64 px, 242 at 256 px."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLACES = 16  # at most, of a grid of patches


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, a: int, b: int, stride: int):
        super().__init__()
        self.one, self.norm_one = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
        self.two, self.norm_two = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.short = (
            nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b)) if a != b else None
        )

    def forward(self, x: Tensor) -> Tensor:
        made = self.norm_two(self.two(F.relu(self.norm_one(self.one(x)))))
        return F.relu(made + (self.short(x) if self.short else x))


class ResNet18(nn.Module):
    """He et al., 2016: `b 3 h w` -> four maps at 1/4, 1/8, 1/16, 1/32. Frozen."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        widths = (64, 64, 128, 256, 512)
        pairs = zip(widths, widths[1:], (1, 2, 2, 2), strict=False)
        self.stages = nn.ModuleList(nn.Sequential(Block(a, b, s), Block(b, b, 1)) for a, b, s in pairs)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


def features(picture: Tensor, maps: list[Tensor], patches: tuple[int, ...] = (2, 4)) -> dict[str, Tensor]:
    """name -> `b l d`: the picture's own size a channel, mean and deviation of each map, whole and in patches."""
    found = {"norm": (picture.square().mean((2, 3)) + 1e-6).sqrt()[:, None]}
    for i, stage in enumerate(maps):
        for side in (0, *(k for k in patches if k <= min(stage.shape[-2:]))):
            name = f"stage{i}/{side or 'whole'}"
            found[f"{name}/mean"], found[f"{name}/std"] = (
                v[:, spread(v.shape[1])] for v in moments(stage, side)
            )
    return found


def moments(stage: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation, `b l d`, over patches of `side`, over all of the map for 0."""
    size = [side or n for n in stage.shape[-2:]]
    mean, square = F.avg_pool2d(stage, size), F.avg_pool2d(stage.square(), size)
    deviation = ((square - mean.square()).clamp(min=0) + 1e-6).sqrt()
    return mean.flatten(2).mT, deviation.flatten(2).mT


def spread(count: int) -> Tensor:
    """Indices of at most `PLACES` of them, evenly spread."""
    return torch.linspace(0, count - 1, min(count, PLACES)).round().long()


class Refiner(nn.Module):
    """A transformer over 256 patches, 8 blocks of 512: `b 3 h h` -> `b 3 h h`."""

    def __init__(self, px: int, width: int = 512, depth: int = 8):
        super().__init__()
        self.side = px // 16
        self.read = nn.Conv2d(3, width, self.side, self.side)
        self.place = nn.Parameter(0.02 * torch.randn(256, width))
        block = nn.TransformerEncoderLayer(
            width, 8, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)
        self.write = nn.ConvTranspose2d(width, 3, self.side, self.side)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.blocks(self.read(x).flatten(2).mT + self.place)
        return x + self.write(tokens.mT.unflatten(2, (16, 16)))
