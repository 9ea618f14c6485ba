"""`tween ablate phase1 --minutes 2 --seeds 2 ...`: every row trained for the same budget, one table with confidence.

Under torchrun each process is a worker of its own, on a GPU of its own: they share out the rows.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tween.cli.training_data import add_data, crew, feeds, perceptual, settled, sources
from tween.core import TweenError

if TYPE_CHECKING:
    from tween.recipes.ablate import Lab
    from tween.recipes.ablate_rows import Row

TABLES = ("phase1", "backbone", "phase2", "phase3", "data")


def parser() -> argparse.ArgumentParser:
    """Flags of `tween ablate`."""
    p = argparse.ArgumentParser(prog="tween ablate", description=__doc__)
    p.add_argument(
        "table",
        choices=TABLES,
        help="phase1 (1a to 1j), backbone (1a to 1j with flow), phase2 (2a to 2e), phase3 (3a to 3d), data",
    )
    p.add_argument(
        "--rows", nargs="+", default=(), help="only these, such as 'exp1f*'; the first row always comes along"
    )
    p.add_argument("--seeds", type=int, default=2, help="each row is trained with seeds 0, 1, ... (2)")
    p.add_argument("--minutes", type=float, help="of training for each row and seed")
    p.add_argument("--steps", type=int, help="instead of minutes: as many for each row and seed")
    p.add_argument("--sitting", type=float, help="begin no row that would not end within so many minutes")
    add_data(p)
    p.add_argument("--stem-stride", type=int, choices=(1, 2, 4), help="of every row that does not set it")
    p.add_argument("--lr", type=float, help="peak, for all rows; by default the plan's for the phase")
    p.add_argument("--warmup", type=float, default=0.05, help="share of the steps (0.05)")
    p.add_argument(
        "--start",
        nargs="+",
        default=(),
        metavar="FILE[:PART,PART]",
        help="weights (.safetensors) that all rows begin from, such as phase 1's, or these parts of them, such as "
        "flow,context; of two files the later one counts",
    )
    p.add_argument("--teacher", type=Path, help="a Python file with flow(a, b): the teacher of exp2e-given")
    p.add_argument("--out", type=Path, default=Path("bench/results/ablate"), help="where results are kept")
    p.add_argument("--runs", type=Path, default=Path("runs/ablate"), help="where rows under way are kept")
    p.add_argument("--list", action="store_true", help="only name the rows")
    p.add_argument("--show", action="store_true", help="only print the table of what is there")
    return p


def main(argv: list[str]) -> int:
    """Print the table; 0 when it holds every result that was asked for, 1 when one failed or time ran out. The row that
    others are compared with is asked for where `--rows` names it."""
    from tween.cli.train import dashed

    options = settled(parser().parse_args(dashed(argv)))
    from tween.recipes.ablate_rows import chosen, rows

    asked = chosen(rows(options.table, **base(options)), options.rows)
    if options.list:
        print("\n".join(f"{row.name:24} {row.about}" for row in asked))
        return 0
    return work(options, asked)


def base(options: argparse.Namespace) -> dict[str, Any]:
    """The network that rows differ from, where it is not the plan's own."""
    from tween.models.interp.config import THESIS

    return {"base": replace(THESIS, stem_stride=options.stem_stride)} if options.stem_stride else {}


def work(options: argparse.Namespace, asked: list[Row]) -> int:
    """Train and tell; 0 when all is there."""
    from tween.recipes.ablate import cached, obstacle
    from tween.recipes.ablate_rows import fits

    workers = crew()
    lab, seeds = laboratory(options), range(options.seeds)
    troubles = {} if options.show else train(options, asked, lab, together=workers.count > 1)
    if workers.number:
        return 0
    here = [row for row in asked if obstacle(row, lab) is None]
    found = {(row.name, s): r for row in here for s in seeds if (r := cached(row, s, lab))}
    tell(list(found.values()), [row.name for row in here], troubles)
    missing = [row for row in here for s in seeds if (row.name, s) not in found]
    if any(fits(row, options.rows) or row.name in troubles for row in missing):
        print(f"{len(missing)} of {len(here) * options.seeds} results are missing")
        return 1
    left = f"; {here[0].name}, to compare with, is left to other processes" if missing else ""
    print(f"all results {'that were asked for ' * bool(missing)}are there{left}")
    return 0


def train(options: argparse.Namespace, asked: list[Row], lab: Lab, *, together: bool) -> dict[str, str]:
    """Why rows failed, by name; the others have their results behind this, told one by one.

    Args:
        together: at the end, wait for the rows of other processes.
    """
    from tween.recipes.ablate import ablate

    until = None if options.sitting is None else time.monotonic() + 60 * options.sitting
    told: dict[tuple[str, int], Any] = {}
    for wait in (False, True)[: 1 + together]:
        left = [row for row in asked if any((row.name, s) not in told for s in range(options.seeds))]
        for row, seed, result in ablate(left, range(options.seeds), lab, until=until, wait=wait):
            if not isinstance(result, TweenError) and (row.name, seed) not in told:
                after = f"{result['psnr']:.3f} dB after {result['steps']} steps"
                print(f"{row.name} seed {seed}: PSNR {after}", flush=True)
            told[row.name, seed] = result
    return {name: str(result) for (name, _), result in told.items() if isinstance(result, TweenError)}


def tell(found: list[dict[str, Any]], order: list[str], troubles: dict[str, str]) -> None:
    """The table, what it was measured under, and what could not be measured."""
    from tween.recipes.ablate_table import conditions, lines, markdown

    if found:
        print(f"\n{markdown(lines(found, order))}\n\n{conditions(found)}")
    for trouble in troubles.values():
        print(trouble)


def laboratory(options: argparse.Namespace) -> Lab:
    """Data, settings and measure, as the options say."""
    from tween.data.flow_files import train
    from tween.evaluate import choose
    from tween.recipes.ablate import Lab, Setting, content
    from tween.recipes.start import source

    scenes, facts = sources(options)
    starts = tuple(map(source, options.start))
    begun = " ".join(str(start._replace(path=content(start.path))) for start in starts)
    shared = (
        "minutes",
        "steps",
        "batch_size",
        "crop",
        "lr",
        "warmup",
        "synthetic",
        "ema",
        "precision",
        "compiled",
    )
    return Lab(
        setting=Setting(**{name: getattr(options, name) for name in shared}),
        feed=feeds(options, options.teacher),
        scenes=scenes,
        way=choose(options.val_set),
        facts=facts
        | {"start": begun or None}
        | ({"stem_stride": options.stem_stride} if options.stem_stride else {}),
        flow_files=bool(options.triplets and train(options.triplets).taught()),
        teacher=options.teacher and content(options.teacher),
        device=options.device,
        start=starts,
        vgg=perceptual(options),
        out=options.out,
        runs=options.runs,
    )
