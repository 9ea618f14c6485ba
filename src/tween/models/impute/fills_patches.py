"""What stands in for the missing patches of a picture. A fill is `fill(patches, known) -> patches`:

patches `b n d`, row by row of the grid, of which it looks at the known ones only; known `b n` bool, at least one a
sample; `grid` is (rows, columns), a square one where None. Known patches come back bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.impute.fills import check, take

PatchFill = Callable[..., Tensor]


def _keeping(fill: PatchFill) -> PatchFill:
    @wraps(fill)
    def kept(
        patches: Tensor, known: Tensor, *, grid: tuple[int, int] | None = None, **options: Any
    ) -> Tensor:
        check(patches, known)
        only = torch.where(known[..., None], patches, 0)
        with torch.autocast(patches.device.type, enabled=False):
            made = fill(only.float(), known, grid=grid, **options)
        return torch.where(known[..., None], patches, made.to(patches.dtype))

    return kept


@_keeping
def nearest(patches: Tensor, known: Tensor, *, grid: tuple[int, int] | None = None) -> Tensor:
    """The nearest patch on the grid; of equally near ones the first."""
    far = spacing(patches, grid).masked_fill(~known[:, None], torch.inf)
    return take(patches, far.argmin(-1))


@_keeping
def idw(patches: Tensor, known: Tensor, *, grid: tuple[int, int] | None = None, power: float = 2.0) -> Tensor:
    """All known patches, weighted by distance to the power of `-power` (Shepard, 1968). A power of 4 is better where
    pictures are smooth within edges."""
    weights = spacing(patches, grid).clamp_min(1.0) ** -power * known[:, None]
    return weights @ patches / weights.sum(-1, keepdim=True)


@_keeping
def harmonic(
    patches: Tensor,
    known: Tensor,
    *,
    grid: tuple[int, int] | None = None,
    sigma_feature: float = 0.2,
    sigma_space: float = 1.0,
    pull: float = 1e-4,
    diagonal: bool = False,
) -> Tensor:
    """Each missing patch is the weighted mean of its neighbours on the grid: (L_UU + pull I) x_U = -L_UK x_K +
    pull * idw_U with L = D - W (Zhu, Ghahramani, Lafferty, ICML 2003). Neighbours count less across an edge of the
    inverse-distance fill: w_uv = exp(-mean (f_u - f_v)^2 / 2 sigma_feature^2) exp(-d_uv^2 / 2 sigma_space^2), 1e-6 at
    least. With `pull` 0 every value lies within the range of the known ones (maximum principle).

    Args:
        sigma_feature: in the patches' unit; `inf` for plain harmonic.
        pull: towards the inverse-distance fill.
        diagonal: whether the eight patches around are neighbours, or the four beside.
    """
    begun = idw(patches, known, grid=grid)
    far = spacing(patches, grid)
    beside = (far > 0) & (far < (1.5 if diagonal else 1.2))
    unlike = torch.cdist(begun, begun, compute_mode="donot_use_mm_for_euclid_dist").square() / begun.shape[-1]
    weights = torch.exp(-unlike / (2 * sigma_feature**2) - far.square() / (2 * sigma_space**2))
    weights = weights.clamp_min(1e-6) * beside
    laplacian = torch.diag_embed(weights.sum(-1)) - weights
    return _solve(laplacian.double(), patches.double(), begun.double(), known, pull).float()


def _solve(laplacian: Tensor, patches: Tensor, begun: Tensor, known: Tensor, pull: float) -> Tensor:
    """All samples at once, however many are known of each: known rows and columns become the identity's, which keeps
    the matrix symmetric and positive definite. In fp64: weak edges leave it close to singular."""
    eye = torch.eye(known.shape[1], dtype=laplacian.dtype, device=laplacian.device)
    missing = (~known)[..., None].to(laplacian.dtype)
    held = patches * (1 - missing)
    matrix = missing * (laplacian + pull * eye) * missing.mT + eye * (1 - missing)
    right = missing * (pull * begun - laplacian @ held) + held
    lower = torch.linalg.cholesky(matrix)
    half = torch.linalg.solve_triangular(lower, right, upper=False)
    return torch.linalg.solve_triangular(lower.mT, half, upper=True)


def spacing(patches: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """`n n`: distances between the patches, in patches."""
    n = patches.shape[1]
    side = math.isqrt(n)
    rows, columns = grid or (side, side)
    if rows * columns != n:
        raise TweenError(
            f"expected a grid of {n} patches, but got {rows} rows of {columns}; pass grid=(rows, columns)"
        )
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    at = torch.stack([y, x], -1).reshape(n, 2).to(patches.device, torch.float32)
    return torch.cdist(at, at, compute_mode="donot_use_mm_for_euclid_dist")
