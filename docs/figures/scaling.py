"""Draws docs/figures/scaling.png from bench/results/scaling.json: what several GPUs give.

python docs/figures/scaling.py [--results bench/results/scaling.json] [-o docs/figures/scaling.png]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

SAID = {"alone": "one process", "replicas": "replicas (DDP)", "shards": "shards (FSDP2)"}


def main() -> None:
    """Bars of samples a second, each round a dot; what twice one process would be is dashed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("bench/results/scaling.json"))
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/figures/scaling.png"))
    options = parser.parse_args()
    suite = json.loads(options.results.read_text())
    recipes = list(dict.fromkeys(row["recipe"] for row in suite["rows"]))
    figure, plots = pyplot.subplots(1, len(recipes), figsize=(4.8 * len(recipes), 3.4), squeeze=False)
    for recipe, plot in zip(recipes, plots[0], strict=True):
        rows = [row for row in suite["rows"] if row["recipe"] == recipe]
        plot.bar([SAID[row["kind"]] for row in rows], [row["samples_per_s"] for row in rows], color="#6a8caf")
        for i, row in enumerate(rows):
            plot.plot([i] * len(row["rounds"]), row["rounds"], "k.", markersize=4)
            plot.annotate(f"{row['ratio']:.2f} x", (i, 0.5 * row["samples_per_s"]), ha="center")
        plot.axhline(suite["processes"] * rows[0]["samples_per_s"], color="grey", linestyle="--", linewidth=1)
        plot.set_ylabel("samples a second")
        plot.set_title(f"{recipe}, {suite['processes']} x {suite['machine']['gpu']}", fontsize=10)
    figure.tight_layout()
    figure.savefig(options.out, dpi=110)


if __name__ == "__main__":
    main()
