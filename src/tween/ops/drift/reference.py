"""The drifting field as the paper writes it: a class, a location and a temperature at a time. Slow, for tests."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Classes = Sequence[Tensor]
"""One tensor a class, `n l d` (samples, locations, features); classes may differ in n."""


def affinity(
    x: Tensor, y: Tensor, scale: Tensor, tau: float, weight: Tensor, own: int, floor: float
) -> Tensor:
    """A_ij = w_j k_ij / sqrt(Z_i Z_j) with k = exp(-|x - y| / (scale tau)): `n m`.

    Args:
        x: `n d`.
        y: `m d`, positives and then negatives.
        weight: `m`, how many samples each y counts for.
        own: index in y at which the x themselves begin; negative where they are not among them.
        floor: least value of A_ij^2 / w_j^2.
    """
    kernel = (-torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist") / (scale * tau)).exp()
    seen = torch.ones_like(kernel)
    if own >= 0:
        seen[range(len(x)), range(own, own + len(x))] = 0
    kernel = kernel * seen
    both = (kernel * weight).sum(1, keepdim=True) * kernel.sum(0, keepdim=True)
    square = torch.where(both > 0, kernel**2 / both, 0)
    return weight * seen * square.clamp(min=floor).sqrt()


def field(a: Tensor, y: Tensor, positives: int) -> Tensor:
    """V_i = sum_jk A+_ij A-_ik (y+_j - y-_k), eq. 10 of the paper, summed pair by pair: `n d`."""
    pairs = a[:, :positives, None] * a[:, None, positives:]
    return torch.einsum(
        "ijk,ijkd->id", pairs, (y[:positives, None] - y[None, positives:]).expand(len(a), -1, -1, -1)
    )


def drift_loss(
    x: dict[str, Classes],
    pos: dict[str, Classes],
    neg: dict[str, Classes],
    *,
    weights: Sequence[Tensor],
    temperatures: Sequence[float],
    importance: dict[str, float],
    floor: float = 0.0,
) -> Tensor:
    """The sum over all feature vectors of |phi - stopgrad(phi + V)|^2, averaged over samples and features.

    Args:
        x, pos, neg: name -> classes.
        weights: one `m` a class, for its `neg`.
        importance: name -> factor, 1 where it is not named.
    """
    total = 0.0
    for name in x:
        samples = [
            (x[name][c][:, at], pos[name][c][:, at], neg[name][c][:, at], weights[c])
            for c in range(len(x[name]))
            for at in range(x[name][0].shape[1])
        ]
        group = _group([[part.detach() for part in s] for s in samples], temperatures, floor)
        locations = x[name][0].shape[1]
        count = sum(v.numel() for v, _ in group) / locations
        for (mine, *_), (drift, scale) in zip(samples, group, strict=True):
            phi = mine / scale
            total = total + importance.get(name, 1.0) * (phi - (phi + drift).detach()).square().sum() / count
    return total


def _group(
    samples: list[list[Tensor]], temperatures: Sequence[float], floor: float
) -> list[tuple[Tensor, Tensor]]:
    """The field of each sample set in units of the scale, which they share, and that scale."""
    counted = [(torch.cat([p, x, n]), torch.cat([x.new_ones(len(p) + len(x)), w])) for x, p, n, w in samples]
    far = sum((torch.cdist(x, y) * w).sum() for (x, *_), (y, w) in zip(samples, counted, strict=True))
    pairs = sum(len(x) * w.sum() for (x, *_), (_, w) in zip(samples, counted, strict=True))
    mean = far / pairs
    scale = (mean / samples[0][0].shape[1] ** 0.5).clamp(min=1e-3)
    drifts = [torch.zeros_like(x) for x, *_ in samples]
    for tau in temperatures:
        raw = []
        for (x, p, *_), (y, w) in zip(samples, counted, strict=True):
            a = affinity(x, y, scale * x.shape[1] ** 0.5, tau, w, len(p), floor)
            raw.append(field(a, y / scale, len(p)))
        size = torch.cat([v.flatten() for v in raw]).square().mean().sqrt()
        drifts = [d + v / size.clamp(min=1e-12) for d, v in zip(drifts, raw, strict=True)]
    return [(d, scale) for d in drifts]
