"""The page that every encoder and every codebook owes: numbers, planes and exemplars of its classes, in the report of
the run."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from tween.core import TweenError
from tween.engine import report
from tween.metrics import representation as measure
from tween.metrics.occupancy import Occupancy, occupancy, settle

ABOUT = (
    *("encoder", "frozen", "quantiser", "classes", "positives", "negatives"),
    *("features", "temperatures", "normalisation"),
)
"""What a page must say of its run beside the numbers."""
SIDE, DOT, LINE = 480, 3, 16  # pixels of a plane, half a dot, a line of its legend
NAMED = 12  # families in a legend


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was measured of one encoder and quantiser.

    Attributes:
        occupancy: of all samples.
        settled: how many classes there should be, and why.
        separation, retrieval, kernel: of a sample of them; `kernel` is None where no class has 4 samples.
    """

    occupancy: Occupancy
    settled: tuple[int, str]
    separation: measure.Separation
    retrieval: dict[str, float]
    kernel: dict[str, float] | None


def study(
    features: Tensor,
    labels: Tensor,
    classes: int,
    *,
    conditions: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> Study:
    """Measure features `n d` in the classes `n` that they, or a condition, were quantised into.

    Args:
        classes: of the codebook, empty ones included.
        conditions: name (text, keyframes) -> embeddings `n e` in which neighbours should agree.
    """
    found = occupancy(labels, classes)
    at = measure.sample(len(labels), seed=seed).to(labels.device)
    x, y = features[at], labels[at]
    near = {name: embedding[at] for name, embedding in (conditions or {}).items()}
    within = int(y.unique(return_counts=True)[1].max()) >= 4
    return Study(
        occupancy=found,
        settled=settle(found),
        separation=measure.separation(x, y),
        retrieval=measure.retrieval(x, y, conditions=near),
        kernel=measure.kernel(x, y) if within else None,
    )


def planes(
    features: Tensor,
    labels: Tensor,
    *,
    families: Sequence[str] | None = None,
    method: Literal["tsne", "umap"] = "tsne",
    seed: int = 0,
) -> dict[str, Tensor]:
    """A sample of the features laid out in the plane, coloured by class and by family (of prompts): name ->
    `3 h w`."""
    at = measure.sample(len(labels), seed=seed)
    laid = measure.plane(features[at.to(features.device)], method, seed=seed)
    found = {f"{method}_class": scatter(laid, labels.cpu()[at])}
    if families:
        names = sorted(set(families))
        ids = torch.tensor([names.index(families[i]) for i in at.tolist()])
        found[f"{method}_family"] = scatter(laid, ids, names)
    return found


def scatter(points: Tensor, ids: Tensor, names: Sequence[str] = ()) -> Tensor:
    """Dots `n 2` coloured by id, on white, with the first names below: `3 h w` in [0, 1]."""
    low, high = points.amin(0), points.amax(0)
    places = DOT + (points - low) / (high - low).clamp(min=1e-9) * (SIDE - 1 - 2 * DOT)
    shown = list(names)[:NAMED]
    picture = Image.new("RGB", (SIDE, SIDE + LINE * len(shown)), "white")
    pen, count = ImageDraw.Draw(picture), int(ids.max()) + 1
    for (x, y), i in zip(places.tolist(), ids.tolist(), strict=True):
        pen.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=colour(i, count))
    for i, name in enumerate(shown):
        pen.text((DOT, SIDE + LINE * i), name, fill=colour(i, count))
    levels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return levels.view(picture.height, picture.width, 3).permute(2, 0, 1) / 255


def colour(i: int, count: int) -> tuple[int, int, int]:
    """Of class i: hues evenly spread, every second one darker."""
    hue = colorsys.hsv_to_rgb(i / max(count, 1), 0.9, 0.85 if i % 2 else 0.55)
    return tuple(round(255 * c) for c in hue)


def exemplars(
    pictures: Tensor, features: Tensor, labels: Tensor, *, rows: int = 10, columns: int = 8
) -> Tensor:
    """The samples nearest to the mean of their class, a row each of the fullest classes: `3 H W`.

    Args:
        pictures: `n 3 h w`, or keyframes or clips `n t 3 h w`, which are put side by side.
    """
    if pictures.ndim == 5:
        pictures = torch.cat(pictures.unbind(1), -1)
    if pictures.ndim != 4 or len(pictures) != len(labels):
        raise TweenError(
            f"exemplars need a picture a sample, {len(labels)} of (3, h, w), but got {tuple(pictures.shape)}"
        )
    classes, count = labels.unique(return_counts=True)
    return torch.cat(
        [
            _row(pictures, features, labels == c, columns)
            for c in classes[count.argsort(descending=True)][:rows]
        ],
        1,
    )


def _row(pictures: Tensor, features: Tensor, of_class: Tensor, columns: int) -> Tensor:
    members = of_class.nonzero()[:, 0]
    own = features[members].float()
    order = (own - own.mean(0)).norm(dim=1).argsort()[:columns]
    strip = torch.cat(list(pictures[members[order].to(pictures.device)].float().cpu().clamp(0, 1)), -1)
    missing = columns * pictures.shape[-1] - strip.shape[-1]
    return torch.nn.functional.pad(strip, (0, missing), value=1.0)


def write(
    folder: Path,
    studies: Mapping[str, Study],
    about: Mapping[str, Any],
    pictures: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write `folder`/representation.md and the pictures; the run's report.md takes them up under Representation.

    Args:
        studies: name of the encoder or quantiser -> what was measured.
        about: a line for each of `ABOUT`, and further ones.
        pictures: name -> `3 h w` in [0, 1].

    Raises:
        TweenError: if `about` leaves something out.
    """
    if missing := [name for name in ABOUT if name not in about]:
        raise TweenError(
            f"the page of a representation should say {', '.join(ABOUT)}, but {', '.join(missing)} is missing"
        )
    folder.mkdir(parents=True, exist_ok=True)
    lines = list(report.table(about.items()))
    for name, found in studies.items():
        lines += ["", f"### {name}", "", found.settled[1], "", *report.table(numbers(found).items())]
    for name, picture in (pictures or {}).items():
        levels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(levels).save(folder / f"{name}.png")
        lines += ["", f"![{name}]({name}.png)"]
    path = folder / report.REPRESENTATION
    path.write_text("\n".join(lines) + "\n")
    report.take_up(folder / "report.md")
    return path


def numbers(found: Study) -> dict[str, float]:
    """Everything that was measured, flat: what a run's `validate` may log. `part/measure` -> value."""
    parts = {
        "occupancy": asdict(found.occupancy),
        "separation": asdict(found.separation),
        "retrieval": found.retrieval,
    }
    parts["kernel"] = found.kernel or {}
    return {
        f"{part}/{name}": float(value) for part, values in parts.items() for name, value in values.items()
    }
