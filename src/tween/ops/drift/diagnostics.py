"""What a kernel saw: for logging steps only."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.ops.drift.batched import Kernel, raw

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
MOST = 1 << 20  # torch.quantile takes 16 million


@torch.no_grad()
def describe(seen: Kernel, weight: Tensor, taus: tuple[float, ...]) -> dict[str, Tensor]:
    """Scalars of one group: `measure`, or `measure@temperature`.

    - `scale`; `pos_p10`, `pos_p50` .. `neg_p90`: quantiles of the distances in units of their mean.
    - `v2@`: mean square of V before it is brought to size 1: 0 at equilibrium, the one to watch.
    - `pos_mass@`, `neg_mass@`: a sample's sum of affinities; `mass_ratio@`: positive over negative, of the means.
    - `pos_neighbours@`, `neg_neighbours@`: exp of the entropy of a sample's affinities brought to sum 1, from 1 to
      their count.

    Args:
        weight: `c n`, 1 for generated samples and 0 for padding; means are over the former.
    """
    found = {"scale": seen.scale.squeeze()}
    parts = {"pos": slice(None, seen.positives), "neg": slice(seen.positives, None)}
    unit = seen.scale * seen.y.shape[-1] ** 0.5
    for side, part in parts.items():
        far = (seen.distance / unit)[..., part][seen.seen.expand_as(seen.distance)[..., part]]
        found |= {f"{side}_{key}": _quantile(far, q) for key, q in QUANTILES.items()}
    v2 = raw(seen).square().mean(-1)
    for t, tau in enumerate(taus):
        found[f"v2@{tau:g}"] = _mean(v2[..., t, :], weight)
        for side, part in parts.items():
            a = seen.affinity[..., t, :, part]
            found[f"{side}_mass@{tau:g}"] = _mean(a.sum(-1), weight)
            found[f"{side}_neighbours@{tau:g}"] = _mean(neighbours(a), weight)
        found[f"mass_ratio@{tau:g}"] = found[f"pos_mass@{tau:g}"] / found[f"neg_mass@{tau:g}"].clamp(
            min=1e-12
        )
    return found


def neighbours(a: Tensor) -> Tensor:
    """exp(H(a / sum a)) over the last axis; 0 where nothing is near."""
    total = a.sum(-1, keepdim=True)
    p = a / total.clamp(min=torch.finfo(a.dtype).tiny)
    return torch.special.entr(p).sum(-1).exp() * (total[..., 0] > 0)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Of `1 c l n` over what is not padding."""
    return (values * weight[:, None]).sum() / (weight.sum() * values.shape[2])


def _quantile(values: Tensor, q: float) -> Tensor:
    values = values[:: values.numel() // MOST + 1]
    return values.quantile(q) if values.numel() else values.new_tensor(float("nan"))
