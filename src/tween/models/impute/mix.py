"""What else a frame could be than its coarse fill, and how much of that to take, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tween.models.impute.fills import between, like, take

VIEWS = 4
LOUD = 4.0
"""Views differ from a fill by some hundredths: so much louder they are as large as what else a layer sees."""


class Mix(nn.Module):
    """A fill and its views, mixed as three small convolutions say, plus a remainder; the fill itself at first.

    A share cannot do much harm: what it moves to is a picture of the same scene, and where views agree with the fill it
    moves nowhere. The remainder can paint anything, so its unit is small.

    Args:
        channels: c, of a frame.
        width: of the convolutions.
        told: channels of what they are told of every place.
        reach: unit of the remainder.
    """

    def __init__(self, channels: int, width: int, told: int, reach: float) -> None:
        super().__init__()
        self.reach = reach
        self.enter = nn.Conv2d((1 + VIEWS) * channels + told, width, 3, 1, 1)
        self.inner = nn.Conv2d(width, width, 3, 1, 1)
        self.leave = nn.Conv2d(width, VIEWS + channels, 3, 1, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, clip: Tensor, others: Tensor, told: Tensor) -> Tensor:
        """`b t c h w`.

        Args:
            clip: `b t c h w`, the fill.
            others: `b t VIEWS c h w`, see `views`.
            told: `b t told h w`.
        """
        seen = torch.cat([shown(clip, others), told], 2)
        made = F.gelu(self.inner(F.gelu(self.enter(seen.flatten(0, 1)))))
        made = self.leave(made).unflatten(0, clip.shape[:2]).to(clip.dtype)
        share, rest = made.split([VIEWS, clip.shape[2]], 2)
        return clip + (share[:, :, :, None] * others).sum(2) + self.reach * rest


def shown(clip: Tensor, others: Tensor) -> Tensor:
    """`b t (1 + VIEWS) c h w`, channels in one: what networks see of a fill and its views."""
    return torch.cat([clip[:, :, None], LOUD * others], 2).flatten(2, 3)


def views(clip: Tensor, known: Tensor, at: Tensor) -> Tensor:
    """`b t VIEWS c h w`, of every frame less the frame itself: the known one before, the known one after, these two
    faded, and its neighbours faded, which is steadier. 0 where there is none.

    Args:
        clip: `b t c h w`, the fill.
        known: `b t` bool.
        at: `t`, times.
    """
    left, right, place = between(known, at.double())
    before, after = take(clip, left), take(clip, right)
    faded = before.lerp(after, like(place, clip))
    keys = torch.stack([before, after, faded], 2) - clip[:, :, None]
    keys = keys * known.any(1)[:, None, None, None, None, None]
    return torch.cat([keys, (steadied(clip, at) - clip)[:, :, None]], 2)


def steadied(clip: Tensor, at: Tensor) -> Tensor:
    """Every frame of `b t c h w` but the first and the last as its two neighbours say."""
    if clip.shape[1] < 3:
        return clip
    place = ((at[1:-1] - at[:-2]) / (at[2:] - at[:-2])).to(clip)[:, None, None, None]
    return torch.cat([clip[:, :1], clip[:, :-2].lerp(clip[:, 2:], place), clip[:, -1:]], 1)
