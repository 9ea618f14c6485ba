"""The page that every encoder and every codebook owes, written by the recipes beside their checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tween.core import TweenError
from tween.engine import report
from tween.evaluate import representation
from tween.metrics.representation import sample
from tween.models.impute.config import Taps
from tween.models.impute.encoder import Encoder
from tween.models.impute.features import count, features
from tween.ops.drift import TEMPERATURES

CHUNK = 250
LEAST = 12  # samples: fewer have no ten neighbours


@torch.no_grad()
def page(
    folder: Path,
    vectors: Tensor,
    labels: Tensor,
    classes: int,
    about: Mapping[str, Any],
    *,
    pictures: Tensor | None = None,
    conditions: Mapping[str, Tensor] | None = None,
    families: Sequence[str] = (),
) -> Path | None:
    """Measure, draw and write; None where there are too few samples to say anything.

    Args:
        vectors: `n d`, what the encoder says of each sample.
        labels: `n`, their classes.
        about: see `representation.ABOUT`.
        pictures: `n 3 h w` or `n t 3 h w` in [0, 1] or uint8.
        conditions: name -> embeddings `n e` in which neighbours should agree.
        families: of the prompts, one a sample, by which a second plane is coloured.
    """
    if len(labels) < LEAST:
        return None
    at = sample(len(labels))
    vectors, labels = vectors.float().cpu(), labels.cpu()
    near = {name: value.float().cpu() for name, value in (conditions or {}).items()}
    found = representation.study(vectors, labels, classes, conditions=near)
    drawn = {}
    try:
        drawn = representation.planes(vectors, labels, families=families)
    except TweenError as error:  # no scikit-learn on this machine: the numbers are there without
        about = {**about, "planes": f"none: {error}"}
    if pictures is not None:
        shown = pictures[at.to(pictures.device)].cpu()
        shown = shown.float() / 255 if shown.dtype == torch.uint8 else shown
        drawn["exemplars"] = representation.exemplars(shown, vectors[at], labels[at])
    return representation.write(folder, {str(about["encoder"]): found}, about, drawn)


def family(prompt: str) -> str:
    """Prompts that begin alike belong together: the first word that is no article."""
    words = [word.strip(".,:;!?\"'").lower() for word in prompt.split()]
    return next((word for word in words if word not in {"", "a", "an", "the"}), "none")


@torch.no_grad()
def of_pictures(
    folder: Path,
    encoder: Encoder,
    found: tuple[Tensor, Tensor, int],
    taps: Taps,
    dealing: Any,
    view: Callable[[Tensor], Tensor] = lambda samples: samples,
) -> Path | None:
    """The page of an encoder of pictures or latents whose classes are known, unless it lies there already.

    Args:
        found: samples `n c h w`, their classes `n`, and how many classes there are.
        view: see `RefinerTask`.
    """
    if (folder / report.REPRESENTATION).is_file():
        return None
    samples, labels, classes = found
    at = sample(len(labels)).to(labels.device)
    shown, labels = samples[at], labels[at]

    def seen(part: Tensor) -> Tensor:
        return view(part.float() / 255 if part.dtype == torch.uint8 else part.float())

    vectors = torch.cat([encoder.vector(seen(part)) for part in shown.split(CHUNK)])
    about = told(encoder, seen(shown[:1]), taps, dealing, classes=classes)
    return page(folder, vectors, labels, classes, about, pictures=shown if shown.shape[1] == 3 else None)


def told(encoder: Encoder, seen: Tensor, taps: Taps, dealing: Any, **more: Any) -> dict[str, Any]:
    """What a page says of a run beside its numbers.

    Args:
        seen: one sample or more as the encoder sees them.
    """
    vectors = count(features(encoder, seen[:2], taps))
    return {
        "encoder": type(encoder).__name__,
        "frozen": "yes",
        "quantiser": "none: classes as they come",
        "positives": f"{dealing.positives} others of the class, without replacement",
        "negatives": f"{dealing.generated} refined of the class and {dealing.anything} of any, weighted by alpha",
        "features": f"{vectors} vectors: {taps}",
        "temperatures": ", ".join(map(str, TEMPERATURES)),
        "normalisation": "scales shared by all places of a map; every temperature's drift brought to unit size",
    } | more
