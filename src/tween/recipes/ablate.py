"""Ablations: every row trained for the same budget and measured on the same scenes; a row done is never done again.

A result is one JSON file for a row and a seed, named after a hash of everything that it depends on: the row, the
setting all rows share, the data, the seed and, where the budget is time, the device.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tween.core import TweenError, out_of_memory
from tween.engine import train
from tween.engine.log import git, plain
from tween.engine.run import Run
from tween.evaluate import middle_frames
from tween.evaluate.protocols import Protocol
from tween.models.interp.hybrid_filler import HybridFiller
from tween.recipes.ablate_rows import Row
from tween.recipes.feeds import Feed
from tween.recipes.plan import PLANS
from tween.recipes.start import Source
from tween.recipes.thesis import thesis

WARM, TIMED = 5, 20  # steps that tell how many fit into the minutes
LOOK = 2.0  # seconds between two looks at a row that another process is at
# Terms added when results were kept already: at 0 they do not change a hash.
LATER = ("charbonnier", "ssim", "geometry")
Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all rows share.

    Attributes:
        minutes: of training for each row; how many steps fit is measured first, so that the schedule ends there.
        steps: instead of minutes, as many for each row.
        lr: peak; None: that of the phase's plan. The end keeps its ratio.
        warmup: share of the steps.
        crop: pixels a side.
        synthetic: share of each batch that is layered motion.
    """

    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 32
    lr: float | None = None
    warmup: float = 0.05
    crop: int = 256
    synthetic: float = 0.33
    precision: str = "bf16"
    ema: float = 0.0
    compiled: bool = False

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise TweenError("a budget is either minutes or steps; give one of them")
        if (self.minutes or self.steps) <= 0:
            raise TweenError(f"a budget should be more than 0, but got {self.minutes or self.steps}")


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Where rows are trained and measured.

    Attributes:
        feed: row -> its batches.
        scenes, way: what is filled in the end, and how it is measured.
        facts: what else a result depends on: fingerprints of data, validation and start.
        flow_files: whether the batches' real triples have flow from files.
        teacher: stands for the user's teacher, on which only rows that it teaches depend.
        start: weights that every row begins from, where they fit; of two files the later one counts.
        vgg: features of the perceptual term; without them rows that need it are left out.
        out: the results' folder.
        runs: of the runs' folders; one is removed when its result is there.
    """

    setting: Setting
    feed: Callable[[Row], Feed]
    scenes: Sequence[Any]
    way: Protocol
    facts: dict[str, Any] = field(default_factory=dict)
    flow_files: bool = False
    teacher: str | None = None
    device: str = "auto"
    start: tuple[Source, ...] = ()
    vgg: nn.Module | None = None
    out: Path = Path("bench/results/ablate")
    runs: Path = Path("runs/ablate")


def ablate(
    rows: Sequence[Row],
    seeds: Sequence[int],
    lab: Lab,
    *,
    until: float | None = None,
    wait: bool = False,
) -> Iterator[tuple[Row, int, Result | TweenError]]:
    """Each row and seed with its result, trained where there is none yet; a row that fails yields its error.

    Several processes may share `lab.out` and `lab.runs`, one a GPU or more: a row that another one is at is left to it.

    Args:
        until: `time.monotonic()` after which no row is begun that would not end before it.
        wait: for the result of a row that another process is at; the row is taken over if that process is lost.
    """
    longest = 60.0 * (lab.setting.minutes or 0.0)
    for seed in seeds:
        for row in rows:
            begun, found = time.monotonic(), cached(row, seed, lab)
            if found is None and until is not None and begun + longest > until:
                return
            try:
                why = obstacle(row, lab)
                result = TweenError(why) if why else found or worked(row, seed, lab, wait=wait)
            except TweenError as error:
                result = error
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                result = TweenError(
                    f"{row.name} should fit into the GPU's memory, but did not; take smaller batches or crops, fewer "
                    f"clips, or fewer processes on one GPU, and repeat the command"
                )
            if result is not None:
                yield row, seed, result
            longest = max(longest, time.monotonic() - begun)


def effective(row: Row, lab: Lab) -> Row:
    """The row as it would be trained: shares filled in, no weight on a term that cannot be computed."""
    shared = row.synthetic if row.synthetic is not None else lab.setting.synthetic
    composite = row.weights.composite if lab.vgg else replace(row.weights.composite, vgg=0.0)
    return replace(row, synthetic=shared, weights=replace(row.weights, composite=composite))


def obstacle(row: Row, lab: Lab) -> str | None:
    """Why this row cannot be measured here, in one sentence."""
    if row.needs_vgg and lab.vgg is None:
        return f"{row.name} is left out: its loss needs VGG-19's weights; name their file by --vgg"
    if row.teacher == "given" and lab.teacher is None:
        return f"{row.name} is left out: name a Python file with your flow(a, b) by --teacher"
    if row.teacher == "file" and not lab.flow_files:
        return f"{row.name} is left out: it is trained on --triplets that have flow_t0.flo and flow_t1.flo beside them"
    if not row.trained and not lab.start:
        return f"{row.name} is left out: it measures the weights that rows start from; name them by --start"
    return None


def key(row: Row, seed: int, lab: Lab) -> str:
    """Hash of all that a result depends on; names do not count, so equal rows share one result."""
    what = {k: v for k, v in plain(effective(row, lab)).items() if k not in ("name", "about", "needs_vgg")}
    terms = what["weights"]["composite"]
    what["weights"]["composite"] = {name: w for name, w in terms.items() if w or name not in LATER}
    given = {"given": lab.teacher} if row.teacher == "given" else {}
    return digest({"row": what, "seed": seed, **given, **shared(lab)})


def shared(lab: Lab) -> dict[str, Any]:
    """What every row of a table has in common."""
    where = {"device": device_name(lab.device)} if lab.setting.minutes else {}
    return {"setting": plain(lab.setting), "protocol": str(lab.way), "facts": plain(lab.facts), **where}


def digest(value: Any) -> str:
    """Twelve hexadecimal digits that stand for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def device_name(device: str) -> str:
    """The GPU's name, or CPU."""
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    return torch.cuda.get_device_name() if cuda else "CPU"


def cached(row: Row, seed: int, lab: Lab) -> Result | None:
    """The result of this row and seed, under this row's name, if it was measured before."""
    found = sorted(lab.out.glob(f"*-{key(row, seed, lab)}.json"))
    return json.loads(found[0].read_text()) | {"row": row.name, "about": row.about} if found else None


def worked(row: Row, seed: int, lab: Lab, *, wait: bool = False) -> Result | None:
    """The result, measured now if no other process is at it; None where one is, unless it is waited for."""
    while True:
        with claim(lab.runs / f"{label(row, seed, lab)}.lock") as mine:
            if mine:
                return cached(row, seed, lab) or measured(row, seed, lab)
        if not wait:
            return None
        time.sleep(LOOK)


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Whether this process alone holds the lock file `path`, which goes with it, however it ends. Where the system
    locks no files every process has it."""
    if find_spec("fcntl") is None:
        yield True
        return
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)


def label(row: Row, seed: int, lab: Lab) -> str:
    """What the row's run, lock and result are called."""
    return f"{row.name}-s{seed}-{key(row, seed, lab)}"


def measured(row: Row, seed: int, lab: Lab) -> Result:
    """Train (where the row is trained), fill every scene, write the result."""
    torch._dynamo.reset()  # it compiles a function eight ways at most and then leaves it slow, without an error
    name = label(row, seed, lab)
    row = effective(row, lab)
    steps = budget(row, seed, lab, name) if row.trained else 1
    run = build(row, seed, lab, name=name, steps=steps)
    begun = time.monotonic()
    report = train(run) if row.trained else None
    seconds = time.monotonic() - begun if row.trained else 0.0
    net = run.task.modules["net"]
    with torch.compiler.set_stance("force_eager"):  # scenes of many sizes would each be compiled
        table = middle_frames(HybridFiller(net), lab.scenes, lab.way, device=next(net.parameters()).device)
    result = {
        "row": row.name,
        "about": row.about,
        "seed": seed,
        **shared(lab),
        "group": digest(shared(lab)),
        "steps": steps if row.trained else 0,
        "seconds": round(seconds, 1),
        "samples_per_s": round(report.samples_per_s, 2) if report else None,
        "parameters": sum(p.numel() for p in net.parameters()),
        "psnr": table.psnr,
        "ssim": table.ssim,
        "scenes": {r.name: {"psnr": r.psnr, "ssim": r.ssim, "ie": r.ie} for r in table.rows},
        "device": device_name(lab.device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": git(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    write(lab.out / f"{name}.json", result)
    shutil.rmtree(run.folder, ignore_errors=True)
    return result


def build(row: Row, seed: int, lab: Lab, *, name: str, steps: int) -> Run:
    """The row's run of `steps` steps, by the recipe of its phase."""
    s = lab.setting
    plan = replace(PLANS[row.config.phase], **{"crop": s.crop, "ratio": (1, 0)} | row.plan)
    run = thesis(
        phase=row.config.phase,
        config=row.config,
        batch=lab.feed(row),
        plan=plan if lab.start else replace(plan, freeze=0),  # what is not trained yet is not worth freezing
        weights=row.weights,
        name=name,
        device=lab.device,
        steps=steps,
        batch_size=s.batch_size,
        lr=s.lr,
        precision=s.precision,
        ema=s.ema,
        compiled=s.compiled,
        vgg=lab.vgg,
        start=lab.start,
        patience=20,
        seed=seed,
        runs=lab.runs,
    )
    often = max(1, steps // 4)
    return replace(
        run,
        optim=replace(run.optim, warmup=round(s.warmup * steps)),
        validate=None,
        best_key=None,
        pictures=None,
        log_interval=often,
        save_interval=often,
    )


def budget(row: Row, seed: int, lab: Lab, name: str) -> int:
    """How many steps the row is trained for: those of the setting, or as many as fit into its minutes.

    What was measured once is kept beside the run, so that a run cut short goes on with the same schedule.
    """
    if lab.setting.steps:
        return lab.setting.steps
    kept = lab.runs / name / "steps.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    probe = build(row, seed, lab, name=f"{name}-probe", steps=WARM + TIMED)
    train(probe, until=WARM)
    rate = train(probe).samples_per_s
    shutil.rmtree(probe.folder)
    write(kept, max(1, int(60 * lab.setting.minutes * rate / probe.batch_size)))
    return json.loads(kept.read_text())


def write(path: Path, value: Any) -> None:
    """`value` as JSON, there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    part.replace(path)


def fingerprint(files: Sequence[Path]) -> str:
    """Stands for many large files, by their names and sizes."""
    return digest(sorted((f.name, f.stat().st_size) for f in files))


def content(file: Path) -> str:
    """Stands for a file, by what is in it.

    Raises:
        TweenError: if it is not there.
    """
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    except OSError:
        raise TweenError(f"{file} should be a file that can be read, but is not; check its name") from None


def results(out: Path) -> list[Result]:
    """Every result in a folder."""
    return [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
