"""The Frechet distance between two sets of features, from whatever network they are."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.core import TweenError


def frechet(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance between the Gaussians that fit two sets of features (Heusel et al., 2017, eq. 6).

    Args:
        a, b: `n d` and `m d`. Few of them measure too far (by about d / n): compare distances of like counts only.
    """
    if min(len(a), len(b)) < 2:
        raise TweenError(
            f"a Frechet distance needs 2 samples or more of each kind, but got {len(a)} and {len(b)}"
        )
    if a.ndim != 2 or a.shape[1:] != b.shape[1:]:
        raise TweenError(
            f"a Frechet distance compares features (n, d) and (m, d), but got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    a, b = a.double(), b.double()
    cov_a, cov_b = a.T.cov().reshape(a.shape[1], -1), b.T.cov().reshape(b.shape[1], -1)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    both = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * both)
