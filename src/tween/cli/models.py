"""`tween models`: what can be given as --model."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass

import tyro
from rich.console import Console
from rich.table import Table

from tween.zoo import ZOO


@dataclass(frozen=True, kw_only=True)
class Options:
    """The models, the default first: size, licence, what they are and how good they measured."""

    json: bool = False
    """Print JSON."""


def main(argv: list[str]) -> int:
    """Print the table."""
    options = tyro.cli(Options, args=argv, prog="tween models", config=(tyro.conf.FlagCreatePairsOff,))
    rows = [
        {"name": name, "parameters": entry.params, "licence": entry.licence, "summary": entry.summary}
        for name, entry in ZOO.items()
    ]
    if options.json:
        print(jsonlib.dumps(rows, indent=2))
        return 0
    table = Table("model", "parameters", "licence", "", box=None)
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['parameters']:,}" if row["parameters"] else "-",
            row["licence"],
            row["summary"],
        )
    Console().print(table)
    return 0
