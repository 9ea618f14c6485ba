"""What a refiner of keypatches is worth: how far from the truth, how true to what was given, how real as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tween.core import TweenError
from tween.evaluate.confidence import Interval, mean
from tween.metrics.frechet import frechet
from tween.models.impute.fills_patches import PatchFill
from tween.models.impute.masks import nested, patch_order
from tween.models.impute.net import PatchRefiner
from tween.models.impute.patches import patches, pictures
from tween.models.impute.task import level

Refine = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(coarse patches `b n d`, known `b n`, labels `b`) -> patches."""
BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Score:
    """One method at one share of patches.

    Attributes:
        missing: mean squared error of what was missing, of each picture, in [0, 1].
        given: mean squared error of what was given.
        frechet: distance of the judge's features from those of real pictures.
        spread: mean variance among two answers to the same question; 0 for a method that has one.
    """

    missing: tuple[float, ...]
    given: float
    frechet: float
    spread: float


def untouched(coarse: Tensor, known: Tensor, labels: Tensor) -> Tensor:
    """The fill itself."""
    return coarse


def by(net: PatchRefiner, *, seed: int = 0, alpha: float = 1.0) -> Refine:
    """The refiner's answer; of one with a style, that of `seed`."""
    net, style = net.eval(), net.config.trunk.style
    generator = torch.Generator().manual_seed(seed)

    def refine(coarse: Tensor, known: Tensor, labels: Tensor) -> Tensor:
        noise = torch.randn(len(coarse), style, generator=generator).to(coarse) if style else None
        return net(coarse, known, labels, level(known), torch.full_like(coarse[:, 0, 0], alpha), noise)

    return refine


@torch.no_grad()
def score(
    refine: Sequence[Refine],
    held: tuple[Tensor, Tensor],
    count: int,
    *,
    fill: PatchFill,
    patch: int,
    judge: Callable[[Tensor], Tensor],
    real: Tensor,
    seed: int = 0,
) -> Score:
    """Measure on held-out pictures, always with the same patches given.

    Args:
        refine: one, or two that differ in style, to see how much answers do. The first is measured.
        held: pictures `n 3 h w` uint8 and labels `n`, on the device.
        count: patches that are given of each.
        judge: pictures `b 3 h w` in [0, 1] -> features `b d`, of a network that nothing was trained with.
        real: its features of real pictures.
    """
    generator = torch.Generator().manual_seed(seed)
    missing, given, spread, seen = [], [], [], []
    for part, labels in zip(held[0].split(BATCH), held[1].split(BATCH), strict=True):
        truth = patches(part.float() / 255, patch)
        known = nested(patch_order(*truth.shape[:2], generator=generator), count).to(truth.device)
        coarse = fill(truth, known, grid=tuple(side // patch for side in part.shape[2:]))
        made, *more = (r(coarse, known, labels).float() for r in refine)
        square = (made - truth).square().mean(2)
        missing += ((square * ~known).sum(1) / (~known).sum(1).clamp(min=1)).tolist()
        given += ((square * known).sum(1) / known.sum(1).clamp(min=1)).tolist()
        spread += [float((made - other).square().mean() / 2) for other in more] or [0.0]
        seen.append(judge(seen_as(made, part, patch)).float())
    return Score(
        missing=tuple(missing),
        given=sum(given) / len(given),
        frechet=frechet(torch.cat(seen), real),
        spread=sum(spread) / len(spread),
    )


def seen_as(tokens: Tensor, like: Tensor, patch: int) -> Tensor:
    """Pictures of patches, of the size of `like` and in [0, 1]."""
    return pictures(tokens, patch, (like.shape[2] // patch, like.shape[3] // patch)).clamp(0, 1)


@torch.no_grad()
def judged(judge: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    """The judge's features of uint8 pictures."""
    return torch.cat([judge(part.float() / 255).float() for part in pictures.split(BATCH)])


def summary(scores: Sequence[Score]) -> dict[str, Any]:
    """Of one method, a score for each of its seeds: means, and halves of their 95 % intervals over pictures and seeds;
    None where there is no telling."""
    if not scores:
        raise TweenError("a summary needs a score or more, but there is none")
    measured = {
        "mse_missing": mean([s.missing for s in scores]),
        "frechet": mean([[s.frechet] for s in scores]),
        "mse_known": mean([[s.given] for s in scores]),
        "spread": mean([[s.spread] for s in scores]),
    }
    return {name: _plain(interval) for name, interval in measured.items()} | {"seeds": len(scores)}


def _plain(interval: Interval) -> dict[str, float | None]:
    half = interval.half
    return {"mean": interval.mean, "half": half if half < float("inf") else None}


def markdown(table: Mapping[str, Mapping[str, Any]], floor: float) -> str:
    """A table of `share -> method -> summary`."""
    lines = [
        "| given | method | missing MSE | anchor MSE | Frechet | seeds |",
        "|---|---|---|---|---|---|",
        *(
            f"| {share} | {method} | {_cell(row['mse_missing'], '.5f')} | {_cell(row['mse_known'], '.5f')} | "
            f"{_cell(row['frechet'], '.3g')} | {row['seeds']} |"
            for share, methods in table.items()
            for method, row in methods.items()
        ),
    ]
    return "\n".join([*lines, "", f"Frechet distance between real pictures: {floor:.3g}."])


def _cell(value: Mapping[str, float | None], form: str) -> str:
    half = "" if value["half"] is None else f" ± {value['half']:{form}}"
    return f"{value['mean']:{form}}{half}"
