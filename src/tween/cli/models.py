"""`tween models`: what can be given as --model; `tween models import`: weights that others published."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from tween.zoo import ZOO


@dataclass(frozen=True, kw_only=True)
class Options:
    """The models, the default first: size, licence, what they are and how good they measured. `tween models import`
    converts weights that others published."""

    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """Convert weights that others published into this user's cache ($XDG_CACHE_HOME/tween or ~/.cache/tween)."""

    name: Annotated[Positional[Literal["wan-vae"]], arg(metavar="NAME")]
    """wan-vae: the video autoencoder of Wan 2.1."""
    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """Wan2.1_VAE.pth, or vae/diffusion_pytorch_model.safetensors of a diffusers folder."""


def main(argv: list[str]) -> int:
    """Print the table, or import."""
    if argv[:1] == ["import"]:
        from tween.nn.vae.convert import import_weights

        options = tyro.cli(Import, args=argv[1:], prog="tween models import")
        print(f"{options.name} is at {import_weights(options.file)}")
        return 0
    options = tyro.cli(Options, args=argv, prog="tween models", config=(tyro.conf.FlagCreatePairsOff,))
    rows = [
        {
            "name": name,
            "kind": entry.kind,
            "parameters": entry.params,
            "licence": entry.licence,
            "summary": entry.summary,
        }
        for name, entry in ZOO.items()
    ]
    if options.json:
        print(jsonlib.dumps(rows, indent=2))
        return 0
    table = Table("model", "for", "parameters", "licence", "", box=None)
    for row in rows:
        table.add_row(
            row["name"],
            row["kind"],
            f"{row['parameters']:,}" if row["parameters"] else "-",
            row["licence"],
            row["summary"],
        )
    Console().print(table)
    return 0
