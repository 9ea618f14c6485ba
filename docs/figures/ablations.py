"""Writes docs/ablations.md and its pictures from the results of `tween ablate`; no number in them is by hand.

python docs/figures/ablations.py [--results bench/results/ablate] [--docs docs]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from tween.core import TweenError
from tween.recipes.ablate import results
from tween.recipes.ablate_rows import TABLES, rows
from tween.recipes.ablate_table import Line, conditions, lines, markdown

TITLES = {
    "phase1": "Phase 1: the backbone and the loss",
    "backbone": "The backbone and the loss, with flow",
    "phase2": "Phase 2: flow",
    "phase3": "Phase 3: large motion",
    "data": "What to train on",
}
INTRODUCTION = """# Ablations

Drawn by `python docs/figures/ablations.py` from the results in bench/results/ablate, which `tween ablate` wrote.
Every row was trained from the same seeds for the same budget and measured on the same scenes. *Against the first* is
the mean difference of PSNR, scene by scene and seed by seed; ± is half of its 95 % interval over both. A difference
whose interval holds 0 is called none; of every twenty differences that are none in truth, one is expected to be called
otherwise. Budgets are short: what learns more slowly but goes further is not seen here. How the weights were made that
rows begin with is in [ablations and search](ablations-and-search.md).
"""
COLOURS = {"better": "tab:green", "worse": "tab:red", "none": "tab:gray", "the same": "tab:gray", "": "black"}


def main() -> None:
    """Write the document and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("bench/results/ablate"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    print(write(arguments.results, arguments.docs))


def write(source: Path, docs: Path) -> Path:
    """docs/ablations.md, and docs/figures/ablations-TABLE.png beside it.

    Raises:
        TweenError: if there are no results.
    """
    found = results(source)
    if not found:
        raise TweenError(
            f"{source} should hold results of tween ablate, but has none; run tween ablate first"
        )
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    sections = [INTRODUCTION]
    for title, name, some, order in tables(found):
        table = lines(some, order)
        draw(table, f"{title}: PSNR against {order[0]}, dB", docs / "figures" / f"{name}.png")
        picture = f"![{title}](figures/{name}.png)"
        sections.append(
            "\n\n".join((f"## {title}", picture, markdown(table), findings(table), conditions(some))) + "\n"
        )
    page = docs / "ablations.md"
    page.write_text("\n".join(sections))
    return page


def tables(found: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, list[dict[str, Any]], list[str]]]:
    """Title, name of the picture, results and order of rows: one for each table and what its rows share, the fullest
    first."""
    groups = list(dict.fromkeys(r["group"] for r in found))
    for table in TABLES:
        order = [row.name for row in rows(table)]
        every = [[r for r in found if r["group"] == g and r["row"] in order] for g in groups]
        full = sorted((some for some in every if some), key=len, reverse=True)
        for number, some in enumerate(full, 1):
            yield (
                TITLES[table] + (f": {what(some[0])}" if len(full) > 1 else ""),
                f"ablations-{table}" + (f"-{number}" if number > 1 else ""),
                some,
                order,
            )


def what(result: dict[str, Any]) -> str:
    """What tells one race from another: its budget, and where the finest level is."""
    setting, stride = result["setting"], result["facts"].get("stem_stride")
    budget = f"{setting['minutes']:g} minutes" if setting["minutes"] else f"{setting['steps']:,} steps"
    return budget + (f", finest level at 1/{stride}" if stride else "")


def findings(table: Sequence[Line]) -> str:
    """The verdicts in words, negatives included."""
    told = {"better": "Better", "worse": "Worse", "none": "No difference found"}
    said = []
    for verdict, word in told.items():
        names = [f"{x.name} ({x.gain.mean:+.2f})" for x in table if x.verdict == verdict]
        said.append(f"{word}: {', '.join(names) if names else 'no row'}.")
    return " ".join(said)


def draw(table: Sequence[Line], title: str, path: Path) -> None:
    """Each row's difference with its interval; an interval without end is drawn as a point alone."""
    shown = [x for x in table if x.gain is not None][::-1]
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.32 * len(shown)))
    for y, x in enumerate(shown):
        half = x.gain.half if x.gain.half < float("inf") else 0.0
        axes.errorbar(x.gain.mean, y, xerr=half, fmt="o", capsize=3, color=COLOURS[x.verdict])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [f"{x.name}: {x.about}" for x in shown], fontsize=8)
    axes.set_ylim(-0.8, max(len(shown), 1) - 0.2)
    axes.set_title(title, fontsize=10)
    figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)


if __name__ == "__main__":
    main()
