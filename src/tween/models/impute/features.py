"""The features that drift: what an encoder's maps say about a sample, as groups of vectors that share their scales."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tween.models.impute.config import Taps
from tween.models.impute.encoder import Encoder

EPS = 1e-6


def features(encoder: Encoder | None, x: Tensor, taps: Taps) -> dict[str, Tensor]:
    """Groups `b l d` of feature vectors of `b c h w`, or of `b w c h w`, where w windows are further locations
    (drifting, arXiv 2602.04770, appendix A.5).

    - `input`: root mean square of every channel of x.
    - `NAME/mean`, `NAME/std`: of a whole map; `NAME/mean2`, `NAME/std2` ..: of its squares of 2x2 cells;
      `NAME/cell`: every location by itself.
    - `plain`: x itself, flattened.

    Without an encoder there are the first and the last only.
    """
    if x.ndim == 5:
        found = features(encoder, x.flatten(0, 1), taps)
        return {name: value.unflatten(0, x.shape[:2]).flatten(1, 2) for name, value in found.items()}
    maps = {} if encoder is None else encoder.maps(x, every=taps.every)
    if not taps.stem:
        maps.pop("stem", None)
    found = {"input": (x.float().square().mean((2, 3)) + EPS).sqrt()[:, None]}
    if taps.plain:
        found["plain"] = x.float().flatten(1)[:, None]
    for name, value in maps.items():
        found |= {f"{name}/{kind}": vectors for kind, vectors in statistics(value.float(), taps).items()}
    return found


def statistics(x: Tensor, taps: Taps) -> dict[str, Tensor]:
    """Means, deviations and locations of one map `b c h w`, `b l c` each."""
    mean, std = moments(x, x.shape[2:])
    found = {"mean": mean, "std": std}
    for side in taps.patches:
        if side <= min(x.shape[2:]):
            mean, std = moments(x, (side, side))
            found |= {f"mean{side}": chosen(mean, taps.most), f"std{side}": chosen(std, taps.most)}
    if taps.locations:
        found["cell"] = chosen(x.flatten(2).mT, taps.most)
    return found


def moments(x: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every whole rectangle of `size` cells: `b l c` each."""
    mean = F.avg_pool2d(x, size)
    wide = F.interpolate(mean, scale_factor=(float(size[0]), float(size[1])), mode="nearest")
    away = x[:, :, : wide.shape[2], : wide.shape[3]] - wide
    std = (F.avg_pool2d(away.square(), size) + EPS).sqrt()
    return mean.flatten(2).mT, std.flatten(2).mT


def chosen(vectors: Tensor, most: int) -> Tensor:
    """At most `most` of `b l d`, evenly spaced."""
    if vectors.shape[1] <= most:
        return vectors
    at = torch.linspace(0, vectors.shape[1] - 1, most, device=vectors.device).round().long()
    return vectors[:, at]


def count(groups: dict[str, Tensor]) -> int:
    """Feature vectors in all."""
    return sum(group.shape[1] for group in groups.values())
