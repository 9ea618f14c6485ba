"""How a dataset fills the classes it was quantised into, and when there are too many of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from tween.core import TweenError


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """How a dataset fills its classes.

    Attributes:
        classes, samples: how many there are.
        used: classes with any sample.
        mean, median, p10, p90: samples of a class, empty ones included.
        near_empty: share of classes with at most one sample.
        entropy: of usage, in nats; at most log(classes).
        perplexity: its exp, as many classes used evenly would do.
        dominance: share of all samples in the largest class.
    """

    classes: int
    samples: int
    used: int
    mean: float
    median: float
    p10: float
    p90: float
    near_empty: float
    entropy: float
    perplexity: float
    dominance: float


def occupancy(labels: Tensor, classes: int) -> Occupancy:
    """Of class ids `n` in [0, classes)."""
    if not len(labels) or int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise TweenError(f"occupancy needs class ids from 0 to {classes - 1}, but got {_range(labels)}")
    count = torch.bincount(labels.flatten().cpu(), minlength=classes).double()
    usage = count / count.sum()
    entropy = float(torch.special.entr(usage).sum())
    p10, median, p90 = count.quantile(count.new_tensor((0.1, 0.5, 0.9))).tolist()
    return Occupancy(
        classes=classes,
        samples=len(labels),
        used=int((count > 0).sum()),
        mean=float(count.mean()),
        median=median,
        p10=p10,
        p90=p90,
        near_empty=float((count <= 1).double().mean()),
        entropy=entropy,
        perplexity=float(torch.tensor(entropy).exp()),
        dominance=float(usage.max()),
    )


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a codebook is too large for its data: at any of these.

    Attributes:
        near_empty: more than this share of classes has at most one sample.
        evenness: entropy below this share of log(classes).
        dominance: more than this share of the samples in one class.
    """

    near_empty: float = 0.1
    evenness: float = 0.8
    dominance: float = 0.05


RULE = Rule()
FALLBACK = {1024: 512}
"""How many classes a codebook is made again with, when it had too many."""


def settle(found: Occupancy, rule: Rule = RULE) -> tuple[int, str]:
    """How many classes to quantise into, and why, in one sentence: fewer than now only where `rule` is broken and
    there is a `FALLBACK`."""
    said = broken(found, rule)
    if not said:
        return found.classes, f"{found.classes} classes stay: none of the limits is passed."
    fewer = FALLBACK.get(found.classes)
    then = (
        f"{found.classes} classes fall back to {fewer}"
        if fewer
        else f"{found.classes} classes stay, the fewest tried"
    )
    return fewer or found.classes, f"{then}: {', '.join(said)}."


def broken(found: Occupancy, rule: Rule = RULE) -> list[str]:
    """What `rule` finds wrong."""
    evenness = found.entropy / log(found.classes) if found.classes > 1 else 1.0
    checks = {
        f"{found.near_empty:.0%} of them have at most one sample (limit {rule.near_empty:.0%})": found.near_empty
        > rule.near_empty,
        f"their entropy is {evenness:.2f} of the most it could be (least {rule.evenness:g})": evenness
        < rule.evenness,
        f"one holds {found.dominance:.1%} of the samples (limit {rule.dominance:.0%})": found.dominance
        > rule.dominance,
    }
    return [said for said, wrong in checks.items() if wrong]


def _range(labels: Tensor) -> str:
    return f"{int(labels.min())} to {int(labels.max())}" if len(labels) else "none"
