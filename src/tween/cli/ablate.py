"""`tween ablate phase1 --minutes 2 --seeds 2 ...`: every row trained for the same budget, one table with confidence."""

from __future__ import annotations

import argparse
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tween.core import TweenError

if TYPE_CHECKING:
    from tween.recipes.ablate import Lab
    from tween.recipes.ablate_rows import Row
    from tween.recipes.feeds import Feed

TABLES = ("phase1", "phase2", "phase3", "data")


def parser() -> argparse.ArgumentParser:
    """Flags of `tween ablate`."""
    p = argparse.ArgumentParser(prog="tween ablate", description=__doc__)
    p.add_argument(
        "table",
        choices=TABLES,
        help="phase1 (1a to 1j), phase2 (2a to 2e), phase3 (3a to 3d), data (clips, layers, both)",
    )
    p.add_argument(
        "--rows", nargs="+", default=(), help="only these, such as 'exp1f*'; the first row always comes along"
    )
    p.add_argument("--seeds", type=int, default=2, help="each row is trained with seeds 0, 1, ... (2)")
    p.add_argument("--minutes", type=float, help="of training for each row and seed")
    p.add_argument("--steps", type=int, help="instead of minutes: as many for each row and seed")
    p.add_argument("--sitting", type=float, help="begin no row that would not end within so many minutes")
    add_data(p)
    p.add_argument("--lr", type=float, help="peak, for all rows; by default the plan's for the phase")
    p.add_argument("--warmup", type=float, default=0.05, help="share of the steps (0.05)")
    p.add_argument(
        "--start", type=Path, help="weights (.safetensors) that all rows begin from, such as phase 1's"
    )
    p.add_argument("--teacher", type=Path, help="a Python file with flow(a, b): the teacher of exp2e-given")
    p.add_argument("--out", type=Path, default=Path("bench/results/ablate"), help="where results are kept")
    p.add_argument("--runs", type=Path, default=Path("runs/ablate"), help="where rows under way are kept")
    p.add_argument("--list", action="store_true", help="only name the rows")
    p.add_argument("--show", action="store_true", help="only print the table of what is there")
    return p


def add_data(p: argparse.ArgumentParser) -> None:
    """Flags of what is trained and measured on, the same for `tween ablate` and `tween search`."""
    p.add_argument("--data", type=Path, help="folder with shots.csv and clips")
    p.add_argument("--packed", type=Path, help="where decoded frames are kept between runs")
    p.add_argument("--photos", type=Path, help="folder of .jpg whose pieces become synthetic layers")
    p.add_argument("--val", type=Path, help="folder of triplets that is measured on")
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--crop", type=int, default=256, help="pixels a side (256)")
    p.add_argument(
        "--synthetic", type=float, default=0.33, help="share of each batch that is layered motion (0.33)"
    )
    p.add_argument("--pixels", type=float, default=24.0, help="greatest mean motion of a real triple (24)")
    p.add_argument(
        "--ema", type=float, default=0.0, help="decay of the averaged weights that are measured; 0: none"
    )
    p.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    p.add_argument(
        "--compiled", action="store_true", help="torch.compile; what compiling takes does not count"
    )
    p.add_argument(
        "--vgg", type=Path, help="torchvision's VGG-19 weights; without them that term is left out"
    )
    p.add_argument("--device", default="auto")
    p.add_argument("--workers", type=int, default=16, help="threads that decode clips")


def main(argv: list[str]) -> int:
    """Print the table; 0 when it holds every result that was asked for, 1 when one failed or time ran out."""
    options = parser().parse_args(argv)
    from tween.recipes.ablate_rows import chosen, rows

    asked = chosen(rows(options.table), options.rows)
    if options.list:
        print("\n".join(f"{row.name:24} {row.about}" for row in asked))
        return 0
    return work(options, asked)


def work(options: argparse.Namespace, asked: list[Row]) -> int:
    """Train and tell; 0 when all is there."""
    from tween.recipes.ablate import ablate, cached, obstacle

    lab, seeds = laboratory(options), range(options.seeds)
    troubles: dict[str, str] = {}
    until = None if options.sitting is None else time.monotonic() + 60 * options.sitting
    for row, seed, result in () if options.show else ablate(asked, seeds, lab, until=until):
        if isinstance(result, TweenError):
            troubles[row.name] = str(result)
            continue
        print(
            f"{row.name} seed {seed}: PSNR {result['psnr']:.3f} dB after {result['steps']} steps", flush=True
        )
    here = [row for row in asked if obstacle(row, lab) is None]
    found = [r for row in here for s in seeds if (r := cached(row, s, lab))]
    tell(found, [row.name for row in here], troubles)
    missing = len(here) * options.seeds - len(found)
    print(f"{missing} of {len(here) * options.seeds} results are missing" if missing else "all results are there")
    return 1 if missing else 0


def tell(found: list[dict[str, Any]], order: list[str], troubles: dict[str, str]) -> None:
    """The table, what it was measured under, and what could not be measured."""
    from tween.recipes.ablate_table import conditions, lines, markdown

    if found:
        print(f"\n{markdown(lines(found, order))}\n\n{conditions(found)}")
    for trouble in troubles.values():
        print(trouble)


def laboratory(options: argparse.Namespace) -> Lab:
    """Data, settings and measure, as the options say."""
    from tween.evaluate import choose
    from tween.recipes.ablate import Lab, Setting, content, fingerprint

    scenes = validation(options)
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
    facts = {
        "data": fingerprint([p for p in options.data.rglob("*") if p.is_file()]),
        "photos": options.photos and fingerprint(list(options.photos.glob("*.jpg"))),
        "val": fingerprint([p for s in scenes for p in (s.before, s.truth, s.after)]),
        "pixels": options.pixels,
        "vgg": options.vgg is not None,
        "start": options.start and content(options.start),
    }
    return Lab(
        setting=Setting(**{name: getattr(options, name) for name in shared}),
        feed=feeds(options, options.teacher),
        scenes=scenes,
        way=choose("triplets"),
        facts=facts,
        teacher=options.teacher and content(options.teacher),
        device=options.device,
        start=options.start,
        vgg=perceptual(options),
        out=options.out,
        runs=options.runs,
    )


def validation(options: argparse.Namespace) -> Any:
    """The scenes to measure on.

    Raises:
        TweenError: if data, its place for decoded frames or the scenes are not named.
    """
    from tween.data.triplets import read

    for name in ("data", "packed", "val"):
        if getattr(options, name) is None:
            raise TweenError(f"--{name} should name a folder, but is not given; see --help for what it holds")
    if not (options.data / "shots.csv").is_file():
        raise TweenError(f"--data should hold shots.csv and the clips it names, but {options.data} has none")
    return read(options.val)


def perceptual(options: argparse.Namespace) -> Any:
    """VGG-19 on the device, None where no weights are named."""
    if options.vgg is None:
        return None
    from tween.nn.vgg import vgg19
    from tween.zoo.load import place

    return vgg19(options.vgg).to(place(options.device))


def feeds(options: argparse.Namespace, teacher: Path | None = None) -> Any:
    """Row -> its batches; frames are decoded and put on the device once for all rows."""
    from tween.recipes.feeds import clips
    from tween.recipes.interp import load
    from tween.recipes.teachers import taught
    from tween.recipes.teachers import teacher as named

    held = cache(load)

    def feed(row: Row) -> Feed:
        plain = clips(
            data=options.data,
            packed=options.packed,
            photos=options.photos,
            synthetic=row.synthetic,
            pixels=options.pixels,
            workers=options.workers,
            load=held,
        )
        return taught(plain, named(row.teacher, teacher))

    return feed
