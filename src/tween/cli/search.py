"""`tween search phase1 ...`: hyperparameters by Optuna; the same command again, or in another process, goes on.

The plan's gate: a search begins once the baseline has 35.0 dB on Vimeo90K (--baseline). From 33.0 to 35.0 look at loss
curve, gradients and learning rate by hand first; below 33.0 network or code have a fault. --force searches anyway.
Phases 2 and 3 are searched after their own baseline has converged, from the phase before (--start). The best is
retrained in full by tween train interp from the study. Under torchrun each process is a worker of its own.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tween.cli.training_data import add_data, crew, feeds, needs_large, perceptual, settled, sources
from tween.core import TweenError

WAIT = 2.0  # seconds between two looks at what others have under way


def parser() -> argparse.ArgumentParser:
    """Flags of `tween search`."""
    p = argparse.ArgumentParser(
        prog="tween search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("phase", choices=("phase1", "phase2", "phase3"))
    p.add_argument("--baseline", help="PSNR in dB on Vimeo90K, or the JSON file that tween eval wrote of it")
    p.add_argument("--force", action="store_true", help="search below the gate, too")
    p.add_argument(
        "--trials", type=int, help="of the study in all, other workers' included; 30, 20 or 15 by phase"
    )
    p.add_argument("--epochs", type=int, help="of a trial; 30")
    p.add_argument("--epoch-samples", type=int, help="samples in an epoch; else the training set's")
    p.add_argument(
        "--whole-space", action="store_true", help="search all of the plan's table, not its focus alone"
    )
    add_data(p)
    p.add_argument("--stem-stride", type=int, choices=(1, 2, 4), help="of the network in every trial")
    p.add_argument("--start", type=Path, help="weights (.safetensors) that all trials begin from")
    p.add_argument("--storage", help="else sqlite:///optuna_phaseN.db")
    p.add_argument("--study-name", help="else phaseN_hp_search")
    p.add_argument("--seed", type=int, help="of the sampler; else another for each worker")
    p.add_argument("--runs", type=Path, default=Path("runs/search"), help="where trials under way are kept")
    p.add_argument("--out", type=Path, default=Path(), help="folder for the CSV and the plots")
    return p


def main(argv: list[str]) -> int:
    """Search, then write the CSV and the plots; 0 when the study has its trials."""
    from tween.cli.train import dashed

    options = settled(parser().parse_args(dashed(argv)))
    from tween.recipes.search import open_study, search, under_way
    from tween.recipes.search_space import SEARCHES, gate

    workers, phase = crew(), int(options.phase[-1])
    allowed = gate(baseline(options.baseline), force=options.force)
    if not workers.number:
        print(allowed)
    plan = SEARCHES[phase]
    names, epochs = plan.names(whole=options.whole_space), options.epochs or plan.epochs
    if "loss_vgg_weight" in names and options.vgg is None and not workers.number:
        print("loss_vgg_weight is searched, but changes nothing: no VGG-19 weights are named by --vgg")
    make, setting = maker(options)
    seed = None if options.seed is None else options.seed + workers.number  # two should not try the same
    study = open_study(phase, url=options.storage, name=options.study_name, seed=seed)
    work = partial(search, study, make, phase=phase, names=names, epochs=epochs, setting=setting)
    work(trials=options.trials or plan.trials)
    while workers.count > 1 and under_way(study):  # by others; one that is lost comes back here
        time.sleep(WAIT)
        work(trials=options.trials or plan.trials)
    return 0 if workers.number else tell(study, phase, options.out)


def baseline(text: str | None) -> float | None:
    """PSNR on Vimeo90K from a number or from what `tween eval --json` wrote."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        result = json.loads(Path(text).read_text())
        dataset, psnr = str(result["dataset"]), float(result["psnr"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TweenError(
            f"--baseline should be a PSNR or a file of tween eval --json, but {text} is neither ({error})"
        ) from None
    if not dataset.startswith("vimeo"):
        raise TweenError(f"--baseline should be measured on Vimeo90K, but {text} was measured on {dataset}")
    return psnr


def maker(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """What builds a trial's run, and what all trials have in common."""
    from tween.cli.train_interp import warm
    from tween.recipes.ablate import content
    from tween.recipes.thesis import thesis

    scenes, facts = sources(options)
    if options.phase == "phase3":
        needs_large(options)
    source, vgg = feeds(options)(None), perceptual(options)
    coarse = {"stem_stride": options.stem_stride} if options.stem_stride else {}
    source = replace(source, scenes=scenes, samples=options.epoch_samples or source.samples)

    def make(**wanted: Any) -> Any:
        plan = replace(wanted.pop("plan"), crop=options.crop)
        own = {
            "plan": plan,
            "config": replace(wanted.pop("config"), **coarse),
            "batch_size": wanted.pop("batch_size", options.batch_size),
        }
        own |= {
            name: getattr(options, name)
            for name in ("device", "precision", "ema", "compiled", "start", "runs")
        }
        run = thesis(batch=source, vgg=vgg, patience=20, **own, **wanted)
        warm(run)
        return replace(run, pictures=None)

    shared = ("crop", "batch_size", "synthetic", "ema", "precision")
    start = options.start and content(options.start)
    setting = {name: getattr(options, name) for name in shared} | facts
    return make, setting | coarse | {"samples": source.samples, "start": start}


def tell(study: Any, phase: int, out: Path) -> int:
    """Best trial, CSV, plots."""
    from tween.recipes.search import draw, write_csv

    out.mkdir(parents=True, exist_ok=True)
    table = out / f"optuna_phase{phase}_results.csv"
    write_csv(study, table)
    states = [t.state.name for t in study.get_trials(deepcopy=False)]
    counts = ", ".join(f"{states.count(s)} {s.lower()}" for s in sorted(set(states)))
    print(f"{study.study_name}: {len(states)} trials ({counts}); {table}")
    if "COMPLETE" not in states:
        return 1
    print(f"best: PSNR {study.best_value:.3f} dB by {study.best_params} (trial {study.best_trial.number})")
    print(", ".join(map(str, draw(study, out))))
    return 0
