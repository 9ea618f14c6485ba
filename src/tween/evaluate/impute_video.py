"""What fillers are worth at sparse keyframes: gaps of several lengths in the middle of held-out shots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tween.core import Filler, TweenError
from tween.data.stretches import numbers
from tween.evaluate.confidence import Interval, mean
from tween.infer.tile import Tiled
from tween.metrics import psnr
from tween.metrics.frechet import frechet
from tween.models.impute.encoder import Encoder

CELL = 64  # pixels on a side of the pieces whose features a Frechet distance compares
MEASURES = ("psnr", "perceptual", "flicker", "gain")


def gaps_table(
    fillers: Mapping[str, Filler[Any]],
    stretches: Sequence[Tensor],
    gaps: Sequence[int],
    judge: Encoder,
    *,
    against: str = "fast",
    device: torch.device | str = "cpu",
    seen: Callable[[int, dict[str, Any]], None] = lambda gap, found: None,
) -> dict[str, Any]:
    """gap -> filler -> measure -> mean and half of its 95 % interval over shots; the Frechet distance is of all, and
    `each` has the gain of every shot.

    - `psnr` in dB, of missing frames; `gain` that over `against`, shot by shot.
    - `perceptual`: see `apart`.
    - `flicker`: mean absolute error of the change from frame to frame, in grey levels.
    - `frechet`: of the judge's features of pieces of missing frames, made against true.

    Args:
        stretches: `t 3 h w` uint8 each, t = 3 m + 1 for the longest gap m.
        judge: a network of pictures that no filler was trained with.
        seen: told each gap when it is done.
    """
    if not stretches or against not in fillers:
        raise TweenError(
            f"a comparison needs a stretch or more and {against}, but has {len(stretches)} and {list(fillers)}"
        )
    table = {}
    for gap in gaps:
        rows = {name: [] for name in fillers}
        looks: dict[str, list[Tensor]] = {name: [] for name in (*fillers, "truth")}
        for stretch in stretches:
            truth = shown(stretch, gap, max(gaps)).to(device).float() / 255
            looks["truth"].append(pieces(judge, truth[2:-2]))
            for name, filler in fillers.items():
                made = missing(filler, truth, gap)
                looks[name].append(pieces(judge, made))
                rows[name].append(measured(made, truth[1:-1], judge))
        table[gap] = {
            name: summary(rows[name], rows[against], looks[name], looks["truth"]) for name in fillers
        }
        seen(gap, table[gap])
    return table


def shown(stretch: Tensor, gap: int, longest: int) -> Tensor:
    """Outer keyframe, the gap with its two, outer keyframe: `g+3 3 h w`."""
    return stretch[numbers(gap, longest)]


@torch.inference_mode()
def missing(filler: Filler[Any], frames: Tensor, gap: int) -> Tensor:
    """The frames inside the gap, `g-1 3 h w`, by a filler that sees one keyframe on each side, or two."""
    keys, times = frames[[0, 1, -2, -1]][None], [Fraction(i * gap, 24) for i in range(-1, 3)]
    if filler.past > 2 or filler.future > 2:
        raise TweenError(
            f"there are two keyframes on each side, but a filler wants {filler.past}+{filler.future}"
        )
    near, whole = slice(2 - filler.past, 2 + filler.future), Tiled(filler)
    state = whole.begin(keys[:, 0].shape, seed=0, device=keys.device, dtype=keys.dtype)
    query = [Fraction(i, 24) for i in range(1, gap)]
    return whole.fill(state, keys[:, near], times[near], query)[0][0].float().clamp(0, 1)


def measured(made: Tensor, truth: Tensor, judge: Encoder) -> dict[str, float]:
    """Of one gap: `made` are the frames inside, `truth` has the two keyframes around them too."""
    inner, whole = truth[1:-1], torch.cat([truth[:1], made, truth[-1:]])
    return {
        "psnr": float(psnr(made, inner).mean()),
        "perceptual": float(apart(judge, made, inner).mean()),
        "flicker": float((whole.diff(dim=0) - truth.diff(dim=0)).abs().mean() * 255),
    }


@torch.inference_mode()
def apart(judge: Encoder, a: Tensor, b: Tensor) -> Tensor:
    """Distance `b` of pictures: features of each map brought to unit length, squared difference, mean over places, sum
    over maps (LPIPS, CVPR 2018, with equal weights)."""
    maps = zip(judge.maps(a).values(), judge.maps(b).values(), strict=True)
    return sum((F.normalize(x, dim=1) - F.normalize(y, dim=1)).square().sum(1).mean((1, 2)) for x, y in maps)


@torch.inference_mode()
def pieces(judge: Encoder, frames: Tensor) -> Tensor:
    """The judge's features of squares of CELL pixels, `n d`."""
    h, w = (n // CELL * CELL for n in frames.shape[-2:])
    cut = frames[..., :h, :w].unfold(2, CELL, CELL).unfold(3, CELL, CELL)
    return judge.vector(cut.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)).float().cpu()


def summary(
    rows: Sequence[dict[str, float]],
    against: Sequence[dict[str, float]],
    looks: Sequence[Tensor],
    truth: Sequence[Tensor],
) -> dict[str, Any]:
    """Of one filler at one gap."""
    more = [row | {"gain": row["psnr"] - other["psnr"]} for row, other in zip(rows, against, strict=True)]
    found = {name: _plain(mean([[row[name] for row in more]])) for name in MEASURES}
    each = [row["gain"] for row in more]
    far = frechet(torch.cat(list(looks)), torch.cat(list(truth)))
    return found | {"frechet": far, "shots": len(rows), "each": each}


def _plain(interval: Interval) -> dict[str, float | None]:
    half = interval.half
    return {"mean": interval.mean, "half": half if half < float("inf") else None}


def markdown(table: Mapping[int, Mapping[str, Any]]) -> str:
    """A line a gap and filler."""
    head = (
        "| gap | method | PSNR | over fast | perceptual | Frechet | flicker |\n|---|---|---|---|---|---|---|"
    )
    lines = [
        f"| {gap} | {name} | {row['psnr']['mean']:.2f} | {_gained(row['gain'])} | "
        f"{row['perceptual']['mean']:.4f} | {row['frechet']:.4f} | {row['flicker']['mean']:.2f} |"
        for gap, rows in table.items()
        for name, row in rows.items()
    ]
    return "\n".join([head, *lines])


def _gained(value: Mapping[str, float | None]) -> str:
    return f"{value['mean']:+.3f}" + ("" if value["half"] is None else f" ± {value['half']:.3f}")
