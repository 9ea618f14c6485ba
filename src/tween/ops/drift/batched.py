"""The drifting field for all classes, locations and temperatures at once, from one distance matrix; and for all groups
of one shape `g c l n d`, since what many small ones cost is the number of calls."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

ABSENT = -1e30  # a logit: finite, so that a row without neighbours makes no NaN
LEAST_SCALE = 1e-3
LEAST = 1e-12  # root mean square of V, below which it is not brought to 1: V = 0 stays 0

Counts = tuple[Tensor, Tensor, Tensor]
"""The weights `c n`, `c p`, `c m` of generated, positive and further negative samples."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """What the samples of groups are to each other.

    Attributes:
        y: `g c l m d`: positives, then negatives, moved so that their mean is 0.
        distance: `g c l n m`.
        scale: S, `g 1 1 1 1`; distances and temperatures are in units of it times sqrt(d).
        seen: `c 1 n m`, pairs that count: not padding, nor a sample with itself.
        affinity: A, `g c l t n m`.
        positives: how many of y.
    """

    y: Tensor
    distance: Tensor
    scale: Tensor
    seen: Tensor
    affinity: Tensor
    positives: int

    def mass(self) -> tuple[Tensor, Tensor]:
        """A of the positives and of the negatives."""
        return self.affinity[..., : self.positives], self.affinity[..., self.positives :]


@torch.no_grad()
def kernel(
    x: Tensor, pos: Tensor, neg: Tensor, counts: Counts, taus: tuple[float, ...], own: bool, floor: float
) -> Kernel:
    """Distances, their scale and affinities of `x` (`g c l n d`) to `pos` and `neg`; arguments as in `drift_field`."""
    (locations, n, d), p = x.shape[2:], pos.shape[3]
    y = torch.cat([pos, x, neg] if own else [pos, neg], 3)
    weight = torch.cat([counts[1], counts[0], counts[2]] if own else counts[1:], 1)
    centre = y.mean(3, keepdim=True)  # distances are unchanged and lose fewer digits
    y = y - centre
    distance = torch.cdist(x - centre, y)
    pairs = (counts[0][:, :, None] * weight[:, None])[:, None]
    far = (distance * pairs).sum((1, 2, 3, 4), keepdim=True) / (pairs.sum() * locations)
    scale = (far / d**0.5).clamp(min=LEAST_SCALE)
    seen = pairs > 0
    if own:
        seen = seen & ~torch.eye(n, y.shape[3], dtype=torch.bool, device=x.device).roll(p, 1)
    cold = -distance / (scale * d**0.5)
    logits = torch.stack([cold / tau for tau in taus], 3).masked_fill(~seen[:, :, None], ABSENT)
    affinity = _affinity(logits, weight[:, None, None, None], floor) * seen[:, :, None]
    return Kernel(y=y, distance=distance, scale=scale, seen=seen, affinity=affinity, positives=p)


def _affinity(logits: Tensor, weight: Tensor, floor: float) -> Tensor:
    """w_j sqrt(softmax over y * softmax over x), the first with w_j in its sum: in log space, so it may be as small
    as a float can be."""
    over_y = (logits + weight.clamp(min=torch.finfo(logits.dtype).tiny).log()).logsumexp(-1, keepdim=True)
    half = logits - (over_y + logits.logsumexp(-2, keepdim=True)) / 2
    return (half.clamp(min=log(floor) / 2) if floor else half).exp() * weight


@torch.no_grad()
def field(
    x: Tensor,
    pos: Tensor,
    neg: Tensor,
    counts: Counts,
    taus: tuple[float, ...],
    own: bool,
    floor: float,
    dtype: torch.dtype | None,
) -> tuple[Tensor, Tensor]:
    """Sum over temperatures of V / rms(V), `g c l n d`, in units of the scales, and these, `g 1 1 1 1`."""
    seen = kernel(x, pos, neg, counts, taus, own, floor)
    v = raw(seen, dtype) * counts[0][:, None, None, :, None]
    return (v / size(v, counts[0])).sum(3), seen.scale


def raw(seen: Kernel, dtype: torch.dtype | None = None) -> Tensor:
    """V of every temperature, `g c l t n d`, in units of the scale.

    With W+ = A+ sum(A-) and W- = A- sum(A+), V = W+ y+ - W- y-. In `dtype` rows of W are brought to unit size first.
    """
    toward, away = seen.mass()
    w = torch.cat([toward * away.sum(-1, keepdim=True), -away * toward.sum(-1, keepdim=True)], -1).flatten(
        3, 4
    )
    y = seen.y / seen.scale
    if dtype is None:
        v = w @ y
    else:
        most = w.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(w.dtype).tiny)
        v = ((w / most).to(dtype) @ y.to(dtype)).to(w.dtype) * most
    return v.unflatten(3, seen.affinity.shape[3:5])


def size(v: Tensor, weight: Tensor) -> Tensor:
    """Root mean square of `g c l t n d` over all but group and temperature, `g 1 1 t 1 1`.

    Taken over the largest value: the squares of what a far, cold kernel leaves would vanish in fp32.
    """
    most = v.abs().amax((1, 2, 4, 5), keepdim=True).clamp(min=torch.finfo(v.dtype).tiny)
    count = weight.sum() * v.shape[2] * v.shape[5]
    square = (v / most).square().sum((1, 2, 4, 5), keepdim=True) / count
    return (most * square.sqrt()).clamp(min=LEAST)
