"""How each frame moved to its neighbours: global matching at 1/16, refined coarse to fine up to 1/4."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.models.splat.config import SplatConfig
from tween.models.splat.encoder import Features, conv
from tween.nn.match import global_match, mutual
from tween.ops.warp import backward_warp, resize_flow


class Pairs(NamedTuple):
    """Every frame with its next one, then every frame but the first with the one before: p = 2 (n - 1).

    Attributes:
        levels: displacement `b p 2 h w` at 1/16, 1/8, 1/4, in pixels of that level.
        trust: logit that the last of them holds, `b p 1 h w`.
        hidden: `b p c h w` at 1/4.
        key: `b p c h w` at 1/16, what the frame a pair goes from is matched by; the reverse pair has that of the other.
    """

    levels: tuple[Tensor, Tensor, Tensor]
    trust: Tensor
    hidden: Tensor
    key: Tensor


def reverse(x: Tensor) -> Tensor:
    """`b p ...` of the pairs that go the other way: the reverse of pair i is i + p / 2, modulo p."""
    return x.roll(x.shape[1] // 2, 1)


def neighbours(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """From and to which frame each pair goes, `p` each, in the order of `Pairs`."""
    first = torch.arange(n - 1, device=device)
    return torch.cat((first, first + 1)), torch.cat((first + 1, first))


class Refiner(nn.Module):
    """One level: bring the other frame's features here, correct the displacement and its trust, pass a state on."""

    def __init__(self, c: int, c_hidden: int, width: int, c_next: int) -> None:
        super().__init__()
        self.first = conv(2 * c + c_hidden + 4, width)
        self.body = nn.Sequential(conv(width, width), conv(width, width), conv(width, width))
        self.head = nn.Conv2d(width, 3, 3, 1, 1)
        self.hand = nn.Conv2d(width, c_next, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, own: Tensor, other: Tensor, motion: Tensor, hidden: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Features `m c h w`, motion `m 3 h w` (displacement, trust), state -> corrected motion, next state."""
        there = backward_warp(other, motion[:, :2])
        apart = (own - there).float().abs().mean(1, keepdim=True)
        parts = [own, there, motion.to(own.dtype), apart.to(own.dtype), *([] if hidden is None else [hidden])]
        x = self.first(torch.cat(parts, 1))
        x = x + self.body(x)
        return motion + self.head(x).float(), self.hand(x)


class PairMotion(nn.Module):
    """Displacement of every frame to its neighbours in time."""

    def __init__(self, config: SplatConfig) -> None:
        super().__init__()
        a, b, c, _ = config.widths
        h8, h4 = config.hidden
        r16, r8, r4 = config.refine
        self.key = nn.Conv2d(c, config.key, 1)
        self.trust = nn.Parameter(torch.tensor((10.0, 0.4)))
        self.at16, self.at8, self.at4 = (
            Refiner(c, 0, r16, h8), Refiner(b, h8, r8, h4), Refiner(a, h4, r4, h4)
        )  # fmt: skip

    def forward(self, features: Features) -> Pairs:
        """Of all neighbours in `features`."""
        one, other = neighbours(features.quarter.shape[1], features.quarter.device)
        key = self.key(features.paired.flatten(0, 1)).unflatten(0, (-1, len(one)))
        motion, hidden = self.matched(key), None
        levels = []
        for refiner, here, there in (
            (self.at16, features.paired, reverse(features.paired)),
            (self.at8, features.eighth[:, one], features.eighth[:, other]),
            (self.at4, features.quarter[:, one], features.quarter[:, other]),
        ):
            if levels:
                motion = torch.cat((resize_flow(motion[:, :2], 2), up(motion[:, 2:])), 1)
                hidden = up(hidden)
            motion, hidden = refiner(here.flatten(0, 1), there.flatten(0, 1), motion, hidden)
            levels.append(motion[:, :2].unflatten(0, (-1, len(one))))
        trust, hidden = (x.unflatten(0, (-1, len(one))) for x in (motion[:, 2:], hidden))
        return Pairs(tuple(levels), trust, hidden, key)

    def matched(self, key: Tensor) -> Tensor:
        """Coarse motion `bp 3 h w` of keys `b p c h w`: what matches, is certain, and is returned."""
        v, certainty = global_match(key.flatten(0, 1), reverse(key).flatten(0, 1))
        slope, threshold = self.trust.float()
        v = v * torch.sigmoid(slope * (certainty - threshold))
        back = reverse(v.unflatten(0, (-1, key.shape[1]))).flatten(0, 1)
        return torch.cat((mutual(v, back), torch.zeros_like(certainty)), 1)


def up(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
