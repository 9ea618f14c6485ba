"""Cards of a world and of its autoencoder, made of what `tween train doom` measured (`metrics.json`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path
from typing import Any

from tween.core import TweenError
from tween.zoo.cards import Training, bullets
from tween.zoo.registry import Entry

SOURCE = """Recorded with ViZDoom (MIT; the engine in it, ZDoom, has terms of its own) from the game data of Freedoom
Phase 2 (BSD 3-Clause, the Freedoom project): no picture of id Software's Doom is in it."""


def write_world_card(
    path: Path,
    name: str,
    entry: Entry,
    *,
    training: Training,
    metrics: Mapping[str, Any],
    sampling: Mapping[str, str],
    limits: Sequence[str],
) -> None:
    """Write the card of the world, or of the autoencoder, `name` to `path`.

    Args:
        training: `samples` are frames recorded.
        metrics: of `tween train doom`.
        sampling: what the keys of `metrics["judged"]` stand for, in words; the first is the one released.
        limits: where it fails, a sentence each.

    Raises:
        TweenError: if `metrics` lacks a part that has not been measured.
    """
    try:
        measured = _fidelity(metrics) if entry.kind == "vae" else _worlds(metrics, sampling)
    except KeyError as error:
        raise TweenError(
            f"a card wants metrics of the whole of tween train doom, but {error} is missing"
        ) from None
    text = f"""# {name}

{entry.summary[0].upper()}{entry.summary[1:]}.

| parameters | weights | licence | SHA-256 |
|---|---|---|---|
| {entry.params:,} | `{entry.file}` | {entry.licence} | `{entry.sha256}` |

## Measured

{measured}

## Limits

{bullets(limits)}

## Training

{training.recipe}

{training.samples:,} frames, {training.gpu_minutes:.0f} minutes on {training.gpu}, code {training.commit}.

## Data

{SOURCE}
"""
    path.write_text(text)


def _fidelity(metrics: Mapping[str, Any]) -> str:
    found = metrics["autoencoder"]
    return (
        f"On held-out episodes, encoded and decoded as in a session: {found['psnr']:.2f} dB PSNR, "
        f"{found['psnr_late']:.2f} dB in the last quarter of each clip."
    )


def _worlds(metrics: Mapping[str, Any], sampling: Mapping[str, str]) -> str:
    """A row for each way of sampling, and the baselines."""
    judged, real = metrics["judged"], metrics["real"]
    any_one = judged[next(iter(sampling))]
    head = (
        "| | obeys | one block, dB | sharpness after 5 s, 60 s | Frechet distance after 5 s, 60 s |\n"
        "|---|---|---|---|---|"
    )
    rows = [
        f"| {words} | {100 * judged[key]['obeyed']:.1f} % | {judged[key]['psnr']:.2f} "
        f"| {_pair(judged[key]['sharpness'])} | {_pair(judged[key]['frechet'])} |"
        for key, words in sampling.items()
    ]
    (crisp, back), (near, near_back) = real["sharpness"], real["frechet"]
    rows += [
        f"| the real episodes | {100 * real['obeyed']:.1f} % | | {crisp:.0f} | {near:.2f} |",
        f"| those, through the autoencoder | | | {back:.0f} | {near_back:.2f} |",
        f"| last frame repeated | | {any_one['repeated']:.2f} | | |",
        f"| last frame turned as the mouse says | | {any_one['turned']:.2f} | | |",
    ]
    note = (
        "Held-out episodes; orders of a second recognised from optical flow, PSNR of the 12 frames after 9 real ones, "
        "walks from one picture. docs/world-doom.md says how. "
        + _fidelity(metrics).replace("On held-out episodes, encoded", "Its autoencoder, encoded")
    )
    return "\n".join([head, *rows, "", note])


def _pair(values: Sequence[float]) -> str:
    digits = max(0, 2 - int(log10(max(*values, 1e-9))))
    return ", ".join(f"{value:.{digits}f}" for value in values)
