"""Model cards: what weights learned from, how, how good they measured and where they fail. Data and numbers are read
from files, not typed."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tween.core import TweenError
from tween.zoo.registry import Entry


@dataclass(frozen=True, kw_only=True)
class Training:
    """How weights came to be.

    Attributes:
        recipe: the command and its settings, as prose or code.
        gpu_minutes: of `gpu`, all runs together.
        samples: crops seen.
        commit: of the code that trained.
    """

    recipe: str
    gpu: str
    gpu_minutes: float
    samples: int
    commit: str


def write_card(
    path: Path,
    name: str,
    entry: Entry,
    *,
    training: Training,
    manifests: Mapping[str, Path],
    results: Sequence[Mapping[str, Any]],
    limits: Sequence[str],
    further: str = "",
) -> None:
    """Write the card of `name` to `path`.

    Args:
        manifests: kind of data ("clips") -> CSV with the columns source_repo, licence and licence_statement.
        results: what `tween eval --json` wrote, of this model and of those it is compared with.
        limits: where it fails, a sentence each.
        further: Markdown below the table of results, of what else was measured.
    """
    text = f"""# {name}

{entry.summary[0].upper()}{entry.summary[1:]}.

| parameters | weights | licence | SHA-256 |
|---|---|---|---|
| {entry.params:,} | `{entry.file}` | {entry.licence} | `{entry.sha256}` |

## Measured

{((results_table(results) + chr(10) * 2 if results else "") + further).rstrip()}

## Limits

{bullets(limits)}

## Training

{training.recipe}

{training.samples:,} crops, {training.gpu_minutes:.0f} minutes on {training.gpu}, code {training.commit}.

## Data

{chr(10).join(sources(kind, manifest) for kind, manifest in manifests.items())}"""
    path.write_text(text.rstrip() + "\n")


def results_table(results: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown row for each result."""
    head = "| model | set | PSNR, dB | SSIM | IE | pictures | protocol |\n|---|---|---|---|---|---|---|"
    rows = [
        f"| {r['model']} | {r['dataset']} | {r['psnr']:.2f} | {r['ssim']:.4f} | {r['ie']:.2f} "
        f"| {len(r['rows'])} | {r['protocol']} |"
        for r in results
    ]
    return "\n".join([head, *rows])


def sources(kind: str, manifest: Path) -> str:
    """Where the files of a manifest come from: how many, whose, under which licence, and the credit it asks for."""
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = ("source_repo", "licence", "licence_statement")
    if not rows or not set(columns) <= rows[0].keys():
        raise TweenError(f"{manifest} should be a CSV with the columns {', '.join(columns)}")
    counts = Counter(tuple(row[c].replace("|", "/") for c in columns) for row in rows)
    head = f"{len(rows)} {kind}:\n\n| {kind} | source | licence | statement |\n|---|---|---|---|"
    lines = [f"| {n} | {repo} | {licence} | {says} |" for (repo, licence, says), n in counts.most_common()]
    return "\n".join([head, *lines, ""])


def bullets(lines: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)
