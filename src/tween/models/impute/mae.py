"""An encoder without classes: of latents whose squares are blanked out, what they were (drifting, arXiv 2602.04770,
appendix A.3; He et al., CVPR 2022). In the latents of a video, windows of some frames stand for the channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tween.core import TweenError
from tween.models.impute.config import EncoderConfig
from tween.models.impute.encoder import Encoder, grouped


class Decoder(nn.Module):
    """From the encoder's maps back to what it saw: enlarge, join the finer map, two convolutions; again."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        widths = [config.width * 2**i for i in reversed(range(len(config.blocks)))]
        self.joins = nn.ModuleList(_join(deep + fine, fine, config) for deep, fine in pairwise(widths))
        self.leave = nn.Conv2d(config.width, config.channels, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """
        Args:
            maps: of the stages, fine to coarse.
            size: (h, w) of what comes out.
        """
        *finer, x = maps
        for join, fine in zip(self.joins, reversed(finer), strict=True):
            x = F.interpolate(x, fine.shape[2:], mode="bilinear", align_corners=False)
            x = join(torch.cat([x, fine], 1))
        return F.interpolate(self.leave(x), size, mode="bilinear", align_corners=False)


class LatentMae(nn.Module):
    """An encoder and the decoder that it is trained with."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = Encoder(config), Decoder(config)

    def forward(self, x: Tensor) -> Tensor:
        """What `b c h w`, partly blank, was."""
        maps = self.encoder.maps(x)
        return self.decoder([value for name, value in maps.items() if name != "stem"], x.shape[2:])


class MaeTask:
    """Batches of latents `b c h w`, or (latents, labels). One turn.

    Args:
        side: of the squares that are blanked, in cells; `share` of them.
        classes: weight of telling classes apart, where labels come; 0 at `since`, all of it `ramp` steps later. The
            paper does so at the end, and samples are better for it.
    """

    def __init__(
        self,
        mae: LatentMae,
        *,
        side: int = 2,
        share: float = 0.5,
        classes: float = 0.0,
        since: int = 0,
        ramp: int = 1000,
    ) -> None:
        self.modules = nn.ModuleDict({"encoder": mae.encoder, "decoder": mae.decoder})
        self.mae, self.side, self.share = mae, side, share
        self.classes, self.since, self.ramp = classes, since, ramp

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        """One turn: Muon for the inner matrices, AdamW for the rest."""
        inner = {m.weight for m in self.mae.encoder.stages.modules() if isinstance(m, nn.Conv2d)}
        both = list(self.modules.parameters())
        return {
            "encoder": [
                {"params": [p for p in both if p in inner], "muon": True},
                {"params": [p for p in both if p not in inner]},
            ]
        }

    def turns(self, step: int) -> Iterable[str]:
        return ("encoder",)

    def loss(self, turn: str, batch: Tensor | tuple[Tensor, Tensor], step: int) -> Mapping[str, Tensor]:
        """`masked`: mean squared error of what was blanked; `class`: cross-entropy."""
        x, labels = batch if isinstance(batch, tuple | list) else (batch, None)
        blank = blanks(x, self.side, self.share)
        made = self.mae(x * ~blank).float()
        square = (made - x).square().mean(1, keepdim=True)
        terms = {"masked": (square * blank).sum() / blank.sum().clamp(min=1)}
        weight = self.classes * min(1.0, max(0.0, (step - self.since) / self.ramp))
        if labels is not None and weight:
            terms["class"] = weight * F.cross_entropy(self.mae.encoder(x).float(), labels)
        return terms

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing changes between steps."""


def blanks(x: Tensor, side: int, share: float) -> Tensor:
    """`b 1 h w` bool: squares of `side` cells, each blank with probability `share`."""
    b, _, h, w = x.shape
    drawn = torch.rand(b, 1, -(-h // side), -(-w // side), device=x.device) < share
    return drawn.repeat_interleave(side, 2).repeat_interleave(side, 3)[:, :, :h, :w]


def windows(clip: Tensor, frames: int) -> Tensor:
    """`b t c h w` -> `b w frames*c h w`: frames side by side as channels, so that features know of motion.

    The last window ends with the clip, and shares frames with the one before where t is no multiple.

    Raises:
        TweenError: if the clip is shorter.
    """
    t = clip.shape[1]
    if t < frames:
        raise TweenError(
            f"the encoder sees {frames} frames at a time, but the clip has {t}; take longer clips"
        )
    begins = [*range(0, t - frames, frames), t - frames]
    return torch.stack([clip[:, at : at + frames].flatten(1, 2) for at in begins], 1)


def _join(inputs: int, width: int, config: EncoderConfig) -> nn.Sequential:
    def conv(c: int) -> list[nn.Module]:
        return [nn.Conv2d(c, width, 3, 1, 1, bias=False), grouped(width, config), nn.ReLU()]

    return nn.Sequential(*conv(inputs), *conv(width))
