"""The drifting loss over groups of features, and what prepares its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tween.core import TweenError
from tween.ops.drift.batched import Counts, field, kernel
from tween.ops.drift.diagnostics import describe

TEMPERATURES = (0.02, 0.05, 0.2)
"""Of the paper, in units of the mean distance."""

MOST = 1 << 24
"""Pairs of samples of groups that are computed at once."""

Groups = Mapping[str, Tensor]
"""name -> features `c n l d` (classes, samples, locations, features); all locations of a group share its scales."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How many samples each one counts for: `c n`, `c p`, `c m`; 0 is padding, None is 1 for all.

    Those of `x` are 0 or 1.
    """

    x: Tensor | None = None
    pos: Tensor | None = None
    neg: Tensor | None = None


def pack(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Classes of different size `n ...` as one `c n ...` padded with zeros, and their weights `c n`."""
    ones = [part.new_ones(len(part), dtype=torch.float32) for part in parts]
    return pad_sequence(list(parts), batch_first=True), pad_sequence(ones, batch_first=True)


def unconditional(alpha: Tensor, generated: int | Tensor, count: int) -> Tensor:
    """Weights `c m` of `count` real samples of any class among the negatives: (alpha - 1)(G - 1) / count each.

    Guidance of strength alpha >= 1 (`c`), learned rather than applied in sampling (paper, eq. 15-16); 0 at alpha = 1.

    Args:
        generated: G, the generated samples of a class, one number or `c`.
    """
    if bool((alpha < 1).any()):
        raise TweenError(f"alpha should be 1 or more, but got {float(alpha.min()):g}; 1 means no guidance")
    return ((alpha - 1) * (generated - 1) / max(count, 1))[:, None].expand(-1, count)


def drift_field(
    x: Tensor,
    pos: Tensor,
    neg: Tensor | None = None,
    *,
    weights: Weights | None = None,
    temperatures: Sequence[float] = TEMPERATURES,
    own: bool = True,
    floor: float = 0.0,
) -> Tensor:
    """Where each generated sample should move: the target is `x + drift_field(x, ...)`. See README.md.

    Args:
        x: `c n d`, generated samples of each class.
        pos: `c p d`, real samples of the class.
        neg: `c m d`, further negatives. The x of a class are its negatives without being named here.
        own: whether they are; without, the field is antisymmetric in `pos` and `neg`.
        floor: least product of the two softmaxes; 0 computes in log space. The published code's 1e-6 makes small
            batches collapse.

    Returns:
        `c n d` in fp32 or wider, in the units of x, without gradient; zero for padding.
    """
    neg = pos[:, :0] if neg is None else neg
    parts, counts = _ready([part[None, :, :, None] for part in (x, pos, neg)], weights)
    with torch.autocast(x.device.type, enabled=False):
        drift, scale = field(*parts, counts, tuple(temperatures), own, floor, None)
    return (drift * scale)[0, :, 0]


def drift_loss(
    x: Groups,
    pos: Groups,
    neg: Groups | None = None,
    *,
    weights: Weights | None = None,
    temperatures: Sequence[float] = TEMPERATURES,
    importance: Mapping[str, float] | None = None,
    floor: float = 0.0,
    dtype: torch.dtype | None = None,
    compiled: bool = False,
    diagnostics: bool = False,
) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
    """|phi(x) - stopgrad(phi(x) + V)|^2, averaged over samples and features, summed over locations and groups.

    Every temperature's V is brought to unit size, so the value hardly falls in training: watch the `v2` of the
    diagnostics. The branch without features is a group like any other: raw samples as `c n 1 d`.

    Args:
        x: features of the generated samples, `c n l d`, with gradient.
        pos: of real samples of the class, `c p l d`.
        neg: of further negatives, `c m l d`; each class's own x are always among its negatives.
        weights: of samples, the same in all groups.
        importance: group -> factor of its loss, 1 where it is not named.
        dtype: in which samples are mixed by their affinities, e.g. bf16; distances and softmaxes stay fp32, since
            squares cancel in less.
        compiled: run the field through torch.compile. Worth it only where shapes stay.
        diagnostics: also return `group/measure@temperature` -> scalar (see diagnostics.py).
    """
    _same_groups(x, pos, neg, importance)
    total, found = torch.zeros((), device=next(iter(x.values())).device), {}
    run, taus = _compiled() if compiled else field, tuple(temperatures)
    neg = {name: part[:, :0] for name, part in pos.items()} if neg is None else neg
    for names, factor in _alike(x, pos, neg, importance or {}):
        parts, counts = _ready([torch.stack([s[k] for k in names]) for s in (x, pos, neg)], weights, names[0])
        frozen = [part.detach() for part in parts]
        with torch.autocast(parts[0].device.type, enabled=False):
            drift, scale = run(*frozen, counts, taus, True, floor, dtype)
            total = total + factor * _squared(parts[0] / scale, drift, counts[0])
            for i, name in enumerate(names if diagnostics else ()):
                stats = describe(
                    kernel(*(f[i, None] for f in frozen), counts, taus, True, floor), counts[0], taus
                )
                found |= {f"{name}/{key}": value for key, value in stats.items()}
    return (total, found) if diagnostics else total


def _alike(
    x: Groups, pos: Groups, neg: Groups, importance: Mapping[str, float]
) -> list[tuple[list[str], float]]:
    """Names of groups of one shape and importance, and that: what is computed at once. Of large ones, a few at a time:
    there is nothing to be won, and much memory to be lost."""
    found: dict[tuple, list[str]] = {}
    for name, phi in x.items():
        key = (phi.shape, pos[name].shape, neg[name].shape, phi.dtype, importance.get(name, 1.0))
        found.setdefault(key, []).append(name)
    sets = []
    for (shape, *others, _, factor), names in found.items():
        pairs = shape[:-1].numel() * sum(other[1] for other in (shape, *others) if len(other) > 1)
        each = max(1, MOST // max(1, pairs))
        sets += [(names[at : at + each], factor) for at in range(0, len(names), each)]
    return sets


def _same_groups(x: Groups, pos: Groups, neg: Groups | None, importance: Mapping[str, float] | None) -> None:
    """All sides name the same groups, and `importance` no others."""
    for side, named in (("positives", pos), ("negatives", neg)):
        if named is not None and set(named) != set(x):
            odd = ", ".join(sorted(set(named) ^ set(x)))
            raise TweenError(
                f"generated samples and {side} should have the same features, but differ in {odd}"
            )
    if unknown := set(importance or ()) - set(x):
        raise TweenError(
            f"importance should name features ({', '.join(x)}), but names {', '.join(sorted(unknown))}"
        )


def _squared(phi: Tensor, drift: Tensor, weight: Tensor) -> Tensor:
    """|phi - stopgrad(phi + drift)|^2, averaged over samples and features, summed over locations and groups."""
    error = (phi - (phi + drift).detach()).square().mean(-1) * weight[:, None]
    return error.sum() / weight.sum()


def _ready(parts: Sequence[Tensor], weights: Weights | None, name: str = "x") -> tuple[list[Tensor], Counts]:
    """Of generated, positive and negative samples `g c n l d`: `g c l n d` in fp32 or wider, and their weights."""
    x = parts[0]
    if x.ndim != 5 or len({(part.shape[1], *part.shape[3:]) for part in parts}) > 1:
        shapes = ", ".join(str(tuple(part.shape[1:])) for part in parts)
        raise TweenError(
            f"{name}: generated, positive and negative samples should agree in classes, locations and features, "
            f"but got {shapes}; pad ragged classes with pack()"
        )
    wide = torch.promote_types(x.dtype, torch.float32)
    weights = weights or Weights()
    counts = []
    for part, count in zip(parts, (weights.x, weights.pos, weights.neg), strict=True):
        shape = part.shape[1:3]
        if count is not None and count.shape != shape:
            raise TweenError(
                f"{name}: weights should be one a sample, {tuple(shape)}, but got {tuple(count.shape)}"
            )
        ones = torch.ones(shape, device=x.device, dtype=wide) if count is None else count
        counts.append(ones.to(x.device, wide))
    return [part.to(wide).transpose(2, 3) for part in parts], tuple(counts)


@cache
def _compiled() -> Callable[..., tuple[Tensor, Tensor]]:
    return torch.compile(field)
