"""The network in whose features samples drift: trained here, then frozen. Nothing published is needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tween.models.impute.config import EncoderConfig


class Encoder(nn.Module):
    """Pictures or latents `b c h w` -> feature maps, one vector, classes.

    Normalised by groups, not by the batch: a sample's features depend on nothing but itself.
    """

    def __init__(self, config: EncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EncoderConfig()
        widths = [config.width * 2**i for i in range(len(config.blocks))]
        self.stem, self.stem_norm = _stem(config), grouped(config.width, config)
        self.stages = nn.ModuleList()
        for i, (count, width) in enumerate(zip(config.blocks, widths, strict=True)):
            before = widths[max(i - 1, 0)]
            first = Block(before, width, config, stride=2 if i else 1)
            self.stages.append(
                nn.ModuleList([first, *(Block(width, width, config) for _ in range(count - 1))])
            )
        self.norms = nn.ModuleList(grouped(width, config) for width in widths)
        self.head = nn.Linear(widths[-1], config.classes)
        self.to(memory_format=torch.channels_last)

    def maps(self, x: Tensor, *, every: int = 0) -> dict[str, Tensor]:
        """Feature maps `b c h w` by name: `stem`, `stage1` .. normalised, and with `every` also `stage1.2` .., the
        output of every so many blocks within a stage."""
        x = self.enter(x)
        found = {"stem": x}
        for i, (stage, norm) in enumerate(zip(self.stages, self.norms, strict=True), 1):
            for j, block in enumerate(stage, 1):
                x = block(x)
                if every and j % every == 0 and j < len(stage):
                    found[f"stage{i}.{j}"] = x
            found[f"stage{i}"] = F.relu(norm(x))
        return found

    def enter(self, x: Tensor) -> Tensor:
        """What the first stage sees."""
        x = F.relu(self.stem_norm(self.stem(x.contiguous(memory_format=torch.channels_last))))
        return F.max_pool2d(x, 3, 2, 1) if self.config.large else x

    def vector(self, x: Tensor) -> Tensor:
        """One vector a sample, `b d`: what the head reads, and what Frechet distances compare."""
        x = self.enter(x)
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return F.relu(self.norms[-1](x)).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits `b classes`."""
        return self.head(self.vector(x))


class Block(nn.Module):
    """Two convolutions and what they are added to, normalised before (He et al., ECCV 2016)."""

    def __init__(self, inputs: int, width: int, config: EncoderConfig, *, stride: int = 1) -> None:
        super().__init__()
        self.norm1, self.norm2 = grouped(inputs, config), grouped(width, config)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        even = inputs == width and stride == 1
        self.skip = nn.Identity() if even else nn.Conv2d(inputs, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x))
        y = self.conv2(F.relu(self.norm2(self.conv1(y))))
        return self.skip(x) + y


class EncoderTask:
    """Classes of pictures, `(pictures, labels)` a batch. One turn."""

    def __init__(self, encoder: Encoder, *, smooth: float = 0.1) -> None:
        self.modules = nn.ModuleDict({"encoder": encoder})
        self.smooth = smooth

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        return {"encoder": [{"params": list(self.modules.parameters())}]}

    def turns(self, step: int) -> Iterable[str]:
        return ("encoder",)

    def loss(self, turn: str, batch: tuple[Tensor, Tensor], step: int) -> Mapping[str, Tensor]:
        logits = self.modules["encoder"](batch[0]).float()
        return {"class": F.cross_entropy(logits, batch[1], label_smoothing=self.smooth)}

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing changes between steps."""


def _stem(config: EncoderConfig) -> nn.Conv2d:
    size = 7 if config.large else 3
    return nn.Conv2d(config.channels, config.width, size, 2 if config.large else 1, size // 2, bias=False)


def grouped(width: int, config: EncoderConfig) -> nn.GroupNorm:
    """Normalisation by as many groups as go into both the width and the config's."""
    return nn.GroupNorm(math.gcd(config.groups, width), width)
