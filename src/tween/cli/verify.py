"""`tween verify IN OUT`: is the output what it should be?"""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, arg

from tween.cli.interpolate import seconds
from tween.core import exact
from tween.video.verify import verify


@dataclass(frozen=True, kw_only=True)
class Options:
    """Check an output against its source: length, streams, colour tags, source frames, flicker, sound."""

    source: Annotated[Positional[Path], arg(metavar="IN")]
    """What went in."""
    output: Annotated[Positional[Path], arg(metavar="OUT")]
    """What came out."""
    slowmo: str = "1"
    """How many times slower it plays, as given to interpolate."""
    ss: Annotated[str | None, arg(metavar="TIME")] = None
    """The part of the source that was taken, as given to interpolate."""
    to: Annotated[str | None, arg(metavar="TIME")] = None
    """Its end."""
    retime_duplicates: bool = False
    """As given to interpolate: repeated frames were replaced by motion."""
    input_rate: Annotated[str | None, arg(metavar="RATE")] = None
    """Frames a second of IN, if it is an image sequence. Default: 25."""
    output_rate: Annotated[str | None, arg(metavar="RATE")] = None
    """The same of OUT."""
    json: bool = False
    """Print JSON."""


def main(argv: list[str]) -> int:
    """Exit code 1 if a check fails."""
    options = tyro.cli(Options, args=argv, prog="tween verify", config=(tyro.conf.FlagCreatePairsOff,))
    checks = verify(
        options.source,
        options.output,
        stretch=exact(options.slowmo, "slowmo"),
        start=seconds(options.ss, "--ss"),
        stop=seconds(options.to, "--to"),
        retime=options.retime_duplicates,
        input_rate=_rate(options.input_rate, "--input-rate"),
        output_rate=_rate(options.output_rate, "--output-rate"),
    )
    if options.json:
        print(jsonlib.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{'ok  ' if check.ok else 'FAIL'} {check.name:14} {check.found}")
    return 0 if all(check.ok for check in checks) else 1


def _rate(text: str | None, what: str):
    return None if text is None else exact(text, what)
