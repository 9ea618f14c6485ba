"""Pictures as patches."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tween.core import TweenError


def patches(pictures: Tensor, side: int) -> Tensor:
    """`b c h w` -> `b n c*side^2`, row by row."""
    h, w = pictures.shape[-2:]
    if h % side or w % side:
        raise TweenError(
            f"pictures of {w}x{h} should be whole patches of {side} pixels, but are not; choose another patch size"
        )
    return F.pixel_unshuffle(pictures, side).flatten(2).mT


def pictures(tokens: Tensor, side: int, grid: tuple[int, int]) -> Tensor:
    """The reverse: `b n c*side^2` -> `b c h w`, `grid` rows and columns."""
    return F.pixel_shuffle(tokens.mT.unflatten(2, grid), side)
