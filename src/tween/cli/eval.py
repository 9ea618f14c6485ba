"""`tween eval MODEL DATASET --path DIR`: quality by a paper's protocol; two results compared; the plan's targets."""

from __future__ import annotations

import csv
import json as jsonlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid
from tyro.conf import Positional, arg

from tween.cli import eval_impute, eval_splat
from tween.core import TweenError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure a model on a test set by the protocol of a paper; or compare two results; or hold results against the
    thesis plan's targets."""

    model: Annotated[Positional[str | None], arg(metavar="MODEL")] = None
    """A name of `tween models`, a run (NAME, or NAME_best) or a checkpoint such as runs/NAME/best.safetensors."""
    dataset: Annotated[Positional[str | None], arg(metavar="DATASET")] = None
    """A test set, such as vimeo, ucf101, snu-film-hard, xtest-4k, xiph-2k, middlebury or triplets."""
    path: Path | None = None
    """The set's folder."""
    protocol: Literal["paper", "rife", "ema", "ifrnet", "vfimamba"] | None = None
    """Whose rounding, padding, flow scale, times, flips and SSIM; by default paper, which most tables follow."""
    scale: float | None = None
    """Fraction of the frame's size at which motion is estimated; by default the protocol's, for networks without a
    rule of their own."""
    tta: Literal["on", "off"] | None = None
    """Average, or not, with what is made of the frames turned by 180 degrees; by default the protocol's."""
    times: Literal["direct", "recursive"] | None = None
    """A frame at k/8 straight, or by halving; by default the protocol's."""
    metrics: tuple[Literal["lpips", "psnr_div"], ...] = ()
    """Beside PSNR, SSIM and interpolation error; lpips is measured wherever its weights are there."""
    json: Path | None = None
    """Also write the means, their confidence and the row of every picture here."""
    csv: Path | None = None
    """Also write a line for every picture here."""
    sheet: Path | None = None
    """Also draw the worst pictures here (.png, .jpg)."""
    worst: int = 8
    """How many."""
    compare: Annotated[tuple[Path, ...] | None, arg(metavar="A.json B.json")] = None
    """Instead: how much better B is than A, picture by picture; both written by --json."""
    targets: Literal["phase1", "phase2", "phase3", "1", "2", "3"] | None = None
    """Instead: the thesis plan's target scores, pass or miss, from --results."""
    table: bool = False
    """Instead: --results as rows of one Markdown table, above what papers report."""
    results: tuple[Path, ...] = ()
    """For --targets and --table: files or folders of what --json and `tween bench time --json` wrote."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the network."""


def main(argv: list[str]) -> int:
    """Print one line (the means and the protocol they were measured by) or a table."""
    if argv[:1] == ["splat"] and argv[1:2] and argv[1] in eval_splat.DATASETS and not _has_path(argv):
        return eval_splat.main(argv[1:])
    if argv[:1] == ["impute"] and (len(argv) < 2 or argv[1].startswith("-")):
        return eval_impute.main(argv[1:])
    options = tyro.cli(Options, args=argv, prog="tween eval")
    if options.compare is not None:
        return compare(options.compare)
    if options.targets:
        return targets(options)
    if options.table:
        return beside(options)
    if options.model is None or options.dataset is None or options.path is None:
        raise TweenError(
            "tween eval needs MODEL DATASET --path DIR, or --compare A.json B.json, or --targets phase1, or --table"
        )
    return measure(options)


def _has_path(argv: Sequence[str]) -> bool:
    """Whether a test set's folder is given as for any other model."""
    return any(word.partition("=")[0] == "--path" for word in argv)


def measure(options: Options) -> int:
    """Fill, measure, print, write what was asked for; the processes of torchrun share out the scenes."""
    for flag in ("json", "csv", "sheet"):
        check_folder(flag, getattr(options, flag))
    from tween.engine import distributed
    from tween.evaluate import choose, middle_frames
    from tween.evaluate.further import measures
    from tween.evaluate.models import ready
    from tween.evaluate.sheet import contact_sheet
    from tween.zoo import place

    ranks = distributed.start()  # first: each on a GPU of its own
    way = choose(options.dataset, options.protocol)
    filler = ready(
        options.model,
        device=options.device,
        precision=options.precision,
        scale=options.scale,
        suggested=way.scale,
    )
    way = replace(
        way,
        scale=getattr(filler, "scale", 1.0),
        tta=way.tta if options.tta is None else options.tta == "on",
        times=options.times or way.times,
    )
    scenes, device = read(options.dataset, options.path), place(options.device)
    name = f"{options.model} on {options.dataset}"
    mine = shown(scenes[ranks.rank :: ranks.world], name)
    table = middle_frames(filler, mine, way, device=device, further=measures(options.metrics, device))
    table = whole(table, distributed.gathered(table.rows, ranks))
    distributed.stop()
    if ranks.rank:
        return 0
    print(f"{name}: {table}")
    if options.json:
        result = {"model": options.model, "dataset": options.dataset, **table.json()}
        options.json.write_text(jsonlib.dumps(result, indent=1) + "\n")
    if options.csv:
        write_csv(options.csv, [row.json() for row in table.rows])
    if options.sheet:
        contact_sheet(options.sheet, filler, scenes, table.rows, way, count=options.worst, device=device)
    return 0


def whole(table: Any, parts: Sequence[Sequence[Any]]) -> Any:
    """The table of all processes, the n-th of which measured every n-th scene."""
    from tween.evaluate.middle import tabulate

    rows = [row for some in zip_longest(*parts) for row in some if row is not None]
    return tabulate(table.protocol, rows)


def read(dataset: str, path: Path) -> Sequence[Any]:
    """The scenes of a set."""
    from tween.data import DATASETS

    found = {name: entry.read for name, entry in DATASETS.items() if entry.read}
    if dataset not in found:
        raise TweenError(f"there is no test set {dataset!r}; choose one of {', '.join(found)}")
    return found[dataset](path)


def shown(scenes: Sequence[Any], name: str) -> Any:
    """`scenes` with a bar on the terminal."""
    hidden = not sys.stderr.isatty()
    return track(scenes, name, transient=True, disable=hidden, console=Console(stderr=True))


def check_folder(flag: str, path: Path | None) -> None:
    """That the folder of an output is there, before an hour is spent on its contents."""
    if path and not path.resolve().parent.is_dir():
        raise TweenError(f"the folder of --{flag} {path} is not there; make it first")


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A line for every picture, with a header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["name"])
        writer.writeheader()
        writer.writerows(rows)


def compare(files: Sequence[Path]) -> int:
    """Print every measure of two results, their difference and its confidence."""
    if len(files) != 2:
        came = f"got {', '.join(map(str, files))}" if files else "got none"
        raise TweenError(f"--compare takes two results of --json, A.json B.json, but {came}; give both")
    from tween.evaluate.compare import compare as compared
    from tween.evaluate.targets import read_one

    a, b = map(read_one, files)
    if wrong := [str(file) for file, result in zip(files, (a, b), strict=True) if not result.get("dataset")]:
        raise TweenError(
            f"--compare takes what `tween eval --json` wrote, but {wrong[0]} tells of times; give another"
        )
    grid = Grid("measure", a["model"], b["model"], "difference, 95 % confidence", "is", box=None)
    for row in compared(a, b):
        by = f"{row.by.mean:+.4f} [{row.by.low:+.4f}, {row.by.high:+.4f}]"
        grid.add_row(row.measure, f"{row.first:.4f}", f"{row.second:.4f}", by, row.verdict)
    print(f"{a['dataset']}, {len(a['rows'])} pictures, {a['protocol']}")
    Console(width=110).print(grid)
    return 0


def beside(options: Options) -> int:
    """Print our results and the papers' as one table."""
    from tween.evaluate.published import markdown, measured, published
    from tween.evaluate.targets import read

    ours = [row for row in measured(read(options.results)) if options.model in (None, row.name)]
    print(markdown([*ours, *published()]))
    return 0


def targets(options: Options) -> int:
    """Print the plan's table of one phase."""
    from tween.evaluate.targets import lines, read

    phase = int(options.targets.removeprefix("phase"))
    head = ("benchmark", "metric", "measured", "plan", "is", "corrected", "is", "VFIMamba: plan / published")
    grid = Grid(*head, box=None)
    for line in lines(phase, read(options.results), options.model):
        grid.add_row(*vars(line).values())
    Console(width=130).print(grid)
    return 0
