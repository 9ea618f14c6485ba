"""Features made for a frame nobody saw should be shaped like those of the true frame (IFRNet, CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from tween.core import TweenError
from tween.losses.image import soft_census


def geometry(made: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Sum over levels of the census distance of feature maps, channel by channel, over 3x3 windows, each in [0, 1).

    Args:
        made: levels `b c h w` that the network reached for time t, sides of more than 2 px.
        truth: the same levels of the true frame at t, from the same encoder; no gradient goes into them.

    Raises:
        TweenError: if there are no levels, their shapes differ or a side is too small.
    """
    shapes, wanted = [tuple(x.shape) for x in made], [tuple(x.shape) for x in truth]
    if not shapes or shapes != wanted:
        raise TweenError(f"geometry compares features level by level, but got {shapes} and {wanted}")
    if min(side for shape in shapes for side in shape[-2:]) <= 2:
        raise TweenError(f"geometry needs features with sides over 2 px, but got {shapes}; use larger crops")
    pairs = zip(made, truth, strict=True)
    return sum(soft_census(a.float(), b.detach().float(), 1) for a, b in pairs)
