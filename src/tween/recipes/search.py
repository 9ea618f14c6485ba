"""Hyperparameter search with Optuna (extra `search`): one study and one SQLite file a phase, any number of workers.

A study is on disk after every epoch of every trial, so a search goes on where it stopped, several processes can work on
one study, and `optuna-dashboard sqlite:///optuna_phase1.db` shows it while it runs.
"""

from __future__ import annotations

import csv
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tween.core import TweenError
from tween.engine import train
from tween.engine.run import Run
from tween.models.interp.config import THESIS, NetConfig
from tween.recipes.plan import Phase
from tween.recipes.search_space import SPACE, arguments

HEARTBEAT = 60  # seconds; a trial whose worker was silent for two of them is taken up by another

Make = Callable[..., Run]
"""(name=, **arguments of `recipes.thesis.thesis`) -> a run that validates once an epoch."""


def study_name(phase: Phase) -> str:
    """As in the plan."""
    return f"phase{phase}_hp_search"


def storage(phase: Phase) -> str:
    """As in the plan: a file of its own for each phase."""
    return f"sqlite:///optuna_phase{phase}.db"


def optuna() -> Any:
    """The module.

    Raises:
        TweenError: if it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise TweenError("a search needs Optuna: pip install 'tween-video[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a failed trial is told by its reason
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # heartbeats are one
    return optuna


def open_study(
    phase: Phase, *, url: str | None = None, name: str | None = None, seed: int | None = None
) -> Any:
    """The phase's study, new or as it was left; pruned as the plan says.

    Args:
        url: of the storage; the plan's own name by default.
        seed: of the sampler; None draws another for each worker, so that two do not try the same.
    """
    o = optuna()
    place = database(url or storage(phase))
    return o.create_study(
        study_name=name or study_name(phase),
        storage=place,
        direction="maximize",
        sampler=o.samplers.TPESampler(seed=seed, constant_liar=True),
        pruner=o.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=10),
        load_if_exists=True,
    )


def database(url: str) -> Any:
    """The storage at `url`; its tables are made where there are none.

    Two workers that begin at once both try to, and the second is refused: it waits a moment and finds them.
    """
    o = optuna()
    from sqlalchemy.exc import ArgumentError, DBAPIError

    wait = {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {}  # for each other's writes
    for patience in (0.5, 1.0, 2.0, 4.0, None):
        try:
            return o.storages.RDBStorage(
                url,
                engine_kwargs=wait,
                heartbeat_interval=HEARTBEAT,
                heartbeat_stale_trial_callback=take_up,
            )
        except (ArgumentError, ImportError) as error:
            raise TweenError(
                f"--storage should be such as sqlite:///study.db, but {url} is not: {error}"
            ) from None
        except DBAPIError as error:
            if patience is None:
                raise TweenError(
                    f"{url} should be a database that can be written, but: {error.orig}"
                ) from None
            time.sleep(patience)


def take_up(study: Any, lost: Any) -> None:
    """Queue the trial of a worker that is gone, at most three times; its run's folder and epochs told serve on."""
    o = optuna()
    history = [*lost.user_attrs.get("taken_up_from", ()), lost.number]
    if len(history) <= 3:
        study.add_trial(
            o.trial.create_trial(
                state=o.trial.TrialState.WAITING,
                params=lost.params,
                distributions=lost.distributions,
                intermediate_values=lost.intermediate_values,
                user_attrs={"taken_up_from": history},
            )
        )


def found_study(phase: Phase, *, url: str | None = None, name: str | None = None) -> Any:
    """A study that is there already.

    Raises:
        TweenError: if there is none.
    """
    o, url, name = optuna(), url or storage(phase), name or study_name(phase)
    file = Path(url.removeprefix("sqlite:///"))
    try:
        if url.startswith("sqlite:///") and not file.is_file():
            raise KeyError(name)  # opening it would make an empty one
        return o.load_study(study_name=name, storage=database(url))
    except KeyError:
        raise TweenError(
            f"there is no study {name} in {url}; make one with tween search phase{phase}"
        ) from None


def search(
    study: Any,
    make: Make,
    *,
    phase: Phase,
    names: Sequence[str],
    trials: int,
    epochs: int,
    setting: dict[str, Any] | None = None,
) -> None:
    """Add trials until the study has `trials`, counting those of other workers, pruned ones and ones under way.

    Args:
        make: builds a trial's run.
        names: what of `SPACE` is searched.
        epochs: of a trial.
        setting: what trials have to have in common to be compared; kept with the study.

    Raises:
        TweenError: if the study was begun with another setting, or three trials on end failed in this process.
    """
    _same(study, {"phase": phase, "names": list(names), "epochs": epochs, **(setting or {})})
    failures: list[str] = []

    def count(study: Any, trial: Any) -> None:
        failures[:] = [*failures, trial.user_attrs["failed"]] if "failed" in trial.user_attrs else []
        if len(failures) == 3:
            raise TweenError(f"three trials on end failed, the last one because {failures[-1]}")
        if counted(study) >= trials:
            study.stop()

    def value(trial: Any) -> float:
        return objective(trial, make, phase=phase, names=names, epochs=epochs)

    o = optuna()
    o.storages.fail_stale_trials(study)
    if counted(study) < trials:
        study.optimize(
            value, callbacks=[count], catch=(TweenError, torch.OutOfMemoryError), gc_after_trial=True
        )


def counted(study: Any) -> int:
    """Trials that are done, pruned, under way or failed by themselves; not those whose worker was lost."""
    states = optuna().trial.TrialState
    return sum(
        t.state in (states.COMPLETE, states.PRUNED, states.RUNNING) or "failed" in t.user_attrs
        for t in study.get_trials(deepcopy=False)
    )


def under_way(study: Any) -> bool:
    """Whether a worker is at a trial, or a lost one's waits to be taken up."""
    states = optuna().trial.TrialState
    return bool(study.get_trials(deepcopy=False, states=(states.RUNNING, states.WAITING)))


def objective(trial: Any, make: Make, *, phase: Phase, names: Sequence[str], epochs: int) -> float:
    """Train one trial; its PSNR is told to the study once an epoch, and it ends early where the pruner says so.

    A trial taken up from a lost worker goes on from that one's checkpoint.
    """
    o = optuna()
    found = {name: SPACE[name](trial) for name in names}
    lost = trial.user_attrs.get("taken_up_from", [])
    first = lost[0] if lost else trial.number
    run = make(name=f"{trial.study.study_name}_trial_{first}", **arguments(found, phase, epochs=epochs))
    validate = run.validate

    def tell(modules: nn.ModuleDict, step: int) -> dict[str, float]:
        values = validate(modules, step)
        trial.report(values["psnr"], round(step / run.eval_interval))
        if trial.should_prune():
            raise o.TrialPruned
        return values

    last = run.folder / "last.safetensors"
    try:
        best = train(replace(run, validate=tell), resume=bool(lost)).best
    except (TweenError, torch.OutOfMemoryError) as error:
        trial.set_user_attr("failed", str(error).splitlines()[0])
        raise
    except o.TrialPruned:
        last.unlink(missing_ok=True)
        raise
    last.unlink(missing_ok=True)  # what is done or pruned is not taken up; its log and best weights stay
    if best is None:
        trial.set_user_attr("failed", "its run ended before it was validated")
        raise TweenError("a trial's run ended before it was validated; give it more epochs or steps")
    return best


def _same(study: Any, setting: dict[str, Any]) -> None:
    """Keep `setting` with a new study; refuse an old one that was begun with another."""
    known, setting = study.user_attrs.get("setting"), json.loads(json.dumps(setting))
    if known is None:
        study.set_user_attr("setting", setting)
    elif known != setting:
        other = [k for k in sorted({*known, *setting}) if known.get(k) != setting.get(k)]
        raise TweenError(
            f"study {study.study_name} was begun with another {', '.join(other)}, so its trials cannot be compared; "
            f"search under another --study-name"
        )


def best(study: Any, *, phase: Phase, base: NetConfig = THESIS) -> dict[str, Any]:
    """The best trial's arguments of `recipes.thesis.thesis` for the full-length phase.

    Raises:
        TweenError: if no trial has ended.
    """
    states = optuna().trial.TrialState
    if not study.get_trials(deepcopy=False, states=(states.COMPLETE,)):
        raise TweenError(
            f"study {study.study_name} has no finished trial yet; go on with tween search phase{phase}"
        )
    return arguments(study.best_params, phase, base=base)


def write_csv(study: Any, path: Path) -> None:
    """Every trial, a line each: number, state, value, times, parameters, epochs told."""
    trials = study.get_trials(deepcopy=False)
    names = sorted({name for t in trials for name in t.params})
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        head = ("number", "state", "value", "start", "seconds", "epochs")
        rows.writerow([*head, *(f"params_{name}" for name in names), "failed"])
        for t in trials:
            seconds = f"{t.duration.total_seconds():.1f}" if t.duration else ""
            value = "" if t.value is None else t.value
            facts = (t.number, t.state.name, value, t.datetime_start, seconds, len(t.intermediate_values))
            rows.writerow(
                [*facts, *(t.params.get(name, "") for name in names), t.user_attrs.get("failed", "")]
            )


def draw(study: Any, folder: Path) -> list[Path]:
    """Pictures of the search: history, learning curves and, from two finished trials on, importances.

    Raises:
        TweenError: if matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise TweenError("plots of a search need matplotlib: pip install 'tween-video[search]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    o = optuna()
    plots = o.visualization.matplotlib
    kinds = {"history": plots.plot_optimization_history, "curves": plots.plot_intermediate_values}
    done = study.get_trials(deepcopy=False, states=(o.trial.TrialState.COMPLETE,))
    if len({t.value for t in done}) > 1:
        kinds["importances"] = plots.plot_param_importances
    paths = []
    for name, plot in kinds.items():
        paths.append(folder / f"{study.study_name}_{name}.png")
        plot(study).figure.savefig(paths[-1], dpi=120, bbox_inches="tight")
        pyplot.close("all")
    return paths
