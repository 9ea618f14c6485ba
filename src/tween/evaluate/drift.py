"""Does a world stay itself? Its pictures soon after the start and a minute later, both measured against real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.core import TweenError
from tween.metrics.frechet import frechet

Features = Callable[[Tensor], Tensor]


def sharpness(frames: Tensor) -> Tensor:
    """Variance of the Laplacian of the luma (Pech-Pacheco et al., ICPR 2000), in squared grey levels: `b` of
    frames `b 3 h w`."""
    luma = (frames.double() * frames.new_tensor((0.299, 0.587, 0.114)).view(3, 1, 1)).sum(1, keepdim=True)
    laplace = luma.new_tensor(((0, 1, 0), (1, -4, 1), (0, 1, 0))).view(1, 1, 3, 3)
    return F.conv2d(255 * luma, laplace).flatten(1).var(1)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What became of a world's pictures.

    Attributes:
        sharpness: mean of the early and of the late ones.
        frechet: distance of the early and of the late ones from real ones.
    """

    sharpness: tuple[float, float]
    frechet: tuple[float, float]

    def stays(self, share: float = 0.25) -> bool:
        """Whether the late pictures are as sharp as the early ones within `share`, and no further from the real by
        more than that."""
        (crisp, crisp_late), (near, near_late) = self.sharpness, self.frechet
        return abs(crisp_late / crisp - 1) <= share and near_late <= (1 + share) * near


def drift(early: Tensor, late: Tensor, real: Tensor, features: Features, *, batch: int = 64) -> Drift:
    """Compare two windows of many rollouts.

    Args:
        early, late: `n 3 h w` in [0, 1], frames about 5 s and 60 s after the start of the same rollouts.
        real: `m 3 h w`.
        features: pictures `b 3 h w` -> `b d`.

    Raises:
        TweenError: if `early` and `late` differ in number, since the distance depends on it.
    """
    if len(early) != len(late):
        raise TweenError(
            f"as many early as late frames should be compared, but got {len(early)} and {len(late)}; "
            f"take windows of one length"
        )
    known = _features(real, features, batch)
    crisp, far = zip(
        *((float(sharpness(x).mean()), frechet(_features(x, features, batch), known)) for x in (early, late)),
        strict=True,
    )
    return Drift(sharpness=crisp, frechet=far)


@torch.no_grad()
def _features(frames: Tensor, features: Features, batch: int) -> Tensor:
    return torch.cat([features(part).flatten(1).cpu() for part in frames.split(batch)])
