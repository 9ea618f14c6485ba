"""Is a feature space fit for drifting in classes? Separation, retrieval and kernels of features `n d` with class ids
`n`, and a plane to draw them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.core import TweenError
from tween.ops.drift import TEMPERATURES, Weights, drift_loss, pack

MOST = 2000
"""Samples that distances of all pairs are taken of."""


def sample(n: int, most: int = MOST, *, seed: int = 0) -> Tensor:
    """Indices of at most `most` of `n`, without replacement, in order."""
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:most]
    return chosen.sort().values


@dataclass(frozen=True, kw_only=True)
class Separation:
    """How far classes lie apart; NaN where there is one class, or every sample is a class.

    Attributes:
        ratio: mean distance within a class over that between classes; lower is better.
        silhouette: mean of (b - a) / max(a, b), a the mean distance to one's own class and b to the nearest other one,
            in [-1, 1], higher is better (Rousseeuw, 1987).
        davies_bouldin: mean over classes of the worst (s_i + s_j) / d_ij, s the mean distance to the centroid and d
            between centroids; lower is better (Davies and Bouldin, 1979).
    """

    ratio: float
    silhouette: float
    davies_bouldin: float


def separation(features: Tensor, labels: Tensor) -> Separation:
    """Of at most some thousand samples: all pairs are measured."""
    features, labels = _checked(features, labels)
    classes, own = labels.unique(return_inverse=True)
    if not 2 <= len(classes) < len(labels):
        return Separation(ratio=float("nan"), silhouette=float("nan"), davies_bouldin=float("nan"))
    distance, member = _distances(features), F.one_hot(own).double()
    same = (own[:, None] == own) & ~torch.eye(len(own), dtype=torch.bool, device=own.device)
    other = own[:, None] != own
    return Separation(
        ratio=float(distance[same].mean() / distance[other].mean()),
        silhouette=float(_silhouettes(distance @ member, member).mean()),
        davies_bouldin=_davies_bouldin(features, own, member),
    )


def _silhouettes(sums: Tensor, member: Tensor) -> Tensor:
    """`n`, from the summed distances to every class `n k`; 0 for who is alone in a class, as scikit-learn has it."""
    count, mine = member.sum(0), member.bool()
    alone = (member @ count) == 1
    a = sums[mine] / (member @ count - 1).clamp(min=1)
    b = (sums / count).masked_fill(mine, float("inf")).amin(1)
    return ((b - a) / torch.maximum(a, b).clamp(min=1e-300)).masked_fill(alone, 0)


def _davies_bouldin(features: Tensor, own: Tensor, member: Tensor) -> float:
    centres = member.T @ features / member.sum(0)[:, None]
    spread = member.T @ (features - centres[own]).norm(dim=1) / member.sum(0)
    apart = _distances(centres).fill_diagonal_(float("inf"))
    return float(((spread[:, None] + spread) / apart).amax(1).mean())


def retrieval(
    features: Tensor,
    labels: Tensor,
    *,
    top: Sequence[int] = (1, 5, 10),
    conditions: dict[str, Tensor] | None = None,
) -> dict[str, float]:
    """What the nearest neighbours of a sample share with it.

    Args:
        features: `n d`, n beyond the largest of `top`.
        conditions: name (text, keyframes) -> embeddings `n e` that neighbours should agree in.

    Returns:
        `purity`: share whose nearest neighbour is of their class; `top_K`: mean share among the K nearest; `chance`:
        the same for random pairs. For each condition `NAME_agreement`, the mean cosine to the K nearest, K the largest,
        and `NAME_chance`, to all others.
    """
    features, labels = _checked(features, labels)
    if len(labels) <= max(top):
        raise TweenError(
            f"retrieval of {max(top)} neighbours needs more samples than that, but got {len(labels)}"
        )
    distance = _distances(features).fill_diagonal_(float("inf"))
    near = distance.topk(max(top), largest=False).indices
    same = (labels[near] == labels[:, None]).double()
    pairs = labels.unique(return_counts=True)[1].double()
    n = len(labels)
    found = {"purity": float(same[:, 0].mean())} | {f"top_{k}": float(same[:, :k].mean()) for k in top}
    found["chance"] = float((pairs * (pairs - 1)).sum() / (n * (n - 1)))
    for name, embedding in (conditions or {}).items():
        unit = F.normalize(embedding.flatten(1).double(), dim=1)
        found[f"{name}_agreement"] = float(torch.einsum("ne,nke->nk", unit, unit[near]).mean())
        found[f"{name}_chance"] = float((unit.sum(0).square().sum() - n) / (n * (n - 1)))
    return found


def kernel(
    features: Tensor, labels: Tensor, *, each: int = 16, temperatures: Sequence[float] = TEMPERATURES
) -> dict[str, float]:
    """What the drifting kernel sees at its goal: half of every class's real samples in the place of generated ones.

    Distances, effective neighbours and masses as in ops/drift/diagnostics.py, over classes of 4 samples and more.

    Args:
        each: samples of a class on either side, at most.
    """
    features, labels = _checked(features, labels)
    lots = [features[labels == c] for c in labels.unique()]
    halves = [lot[: 2 * each].tensor_split(2) for lot in lots if len(lot) >= 4]
    if not halves:
        raise TweenError(
            "a kernel is measured within classes of 4 samples or more, but every class has fewer"
        )
    (x, wx), (pos, wp) = (pack([half[i][:, None].float() for half in halves]) for i in range(2))
    weights = Weights(x=wx, pos=wp)
    _, found = drift_loss({"": x}, {"": pos}, weights=weights, temperatures=temperatures, diagnostics=True)
    return kernel_means(found)


def kernel_means(found: dict[str, Tensor]) -> dict[str, float]:
    """The diagnostics of `drift_loss` (`group/measure`), averaged over groups: `measure` -> value."""
    by: dict[str, list[float]] = {}
    for key, value in found.items():
        by.setdefault(key.rsplit("/", 1)[1], []).append(float(value))
    return {measure: sum(values) / len(values) for measure, values in by.items()}


def plane(features: Tensor, method: Literal["tsne", "umap"] = "tsne", *, seed: int = 0) -> Tensor:
    """Features `n d` laid out in the plane so that neighbours stay neighbours: `n 2` (van der Maaten and Hinton, 2008;
    McInnes et al., 2018).

    Raises:
        TweenError: if the package is not installed, or there are fewer than 4 samples.
    """
    if len(features) < 4:
        raise TweenError(f"a picture of a feature space needs 4 samples or more, but got {len(features)}")
    model = _embedder(method, min(30.0, (len(features) - 1) / 3), seed)
    return torch.from_numpy(model.fit_transform(features.detach().flatten(1).float().cpu().numpy()).copy())


def _embedder(method: str, neighbours: float, seed: int) -> Any:
    try:
        if method == "umap":
            from umap import UMAP

            return UMAP(n_neighbors=max(2, int(neighbours)), random_state=seed)
        from sklearn.manifold import TSNE
    except ImportError:
        raise TweenError(
            f"a picture of features by {method} needs packages that are missing: pip install 'tween-video[metrics]'"
        ) from None
    return TSNE(perplexity=neighbours, random_state=seed)


def _distances(features: Tensor) -> Tensor:
    return torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")


def _checked(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise TweenError(
            f"features should be (n, d) and class ids (n,), but got {tuple(features.shape)} and {tuple(labels.shape)}"
        )
    return features.double(), labels
