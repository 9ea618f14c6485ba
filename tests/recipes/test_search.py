"""Searches over tiny runs: pruned as the plan says, resumed, by two processes, taken up from a lost one."""

import csv
import math
import multiprocessing
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from tests.engine.toy import toy_run
from tween.core import TweenError
from tween.recipes.search import (
    best,
    counted,
    draw,
    found_study,
    objective,
    open_study,
    search,
    storage,
    study_name,
    write_csv,
)
from tween.recipes.search_space import arguments

EPOCH = 2  # steps
STATES = optuna.trial.TrialState


def making(folder: Path, score):
    """Builds toy runs; `score(lr, trial, epoch)` is what they are validated as. Every run leaves its process's id."""

    def make(*, name, plan, **rest):
        (folder / "workers").mkdir(parents=True, exist_ok=True)
        (folder / "workers" / f"{name}-{os.getpid()}").touch()
        number = int(name.removeprefix("phase1_hp_search_trial_"))
        return toy_run(
            folder / name,
            steps=EPOCH * plan.epochs,
            eval_interval=EPOCH,
            save_interval=EPOCH,
            validate=lambda modules, step: {"psnr": score(plan.lr, number, step // EPOCH)},
            best_key="psnr",
        )

    return make


def near_1e4(lr, number, epoch):
    return 30.0 - abs(math.log10(lr) + 4) + 0.01 * epoch


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'study.db'}"


def run(folder, trials, score=near_1e4, epochs=3, names=("lr", "use_mhc"), **more):
    study = open_study(1, url=url(folder), seed=0)
    search(study, making(folder, score), phase=1, names=names, trials=trials, epochs=epochs, **more)
    return study


def test_a_study_is_named_and_kept_as_the_plan_says(tmp_path, monkeypatch):
    assert [study_name(p) for p in (1, 2, 3)] == ["phase1_hp_search", "phase2_hp_search", "phase3_hp_search"]
    assert storage(2) == "sqlite:///optuna_phase2.db"
    monkeypatch.chdir(tmp_path)
    study = open_study(1)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert (study.pruner._n_startup_trials, study.pruner._n_warmup_steps) == (5, 10)
    assert (tmp_path / "optuna_phase1.db").is_file()


def test_it_searches_goes_on_and_is_written_out(tmp_path):
    run(tmp_path, 3)
    study = run(tmp_path, 5)
    trials = study.get_trials()
    assert [t.state for t in trials] == [STATES.COMPLETE] * 5
    assert [list(t.intermediate_values) for t in trials] == [[1, 2, 3]] * 5
    for t in trials:
        assert t.value == pytest.approx(near_1e4(t.params["lr"], 0, 3))
    assert run(tmp_path, 5).get_trials() == trials  # there is nothing left to do
    kept = {p.name for p in (tmp_path / "phase1_hp_search_trial_0").iterdir()}
    assert {"best.safetensors", "log.jsonl"} <= kept
    assert "last.safetensors" not in kept
    found = best(optuna.load_study(study_name="phase1_hp_search", storage=url(tmp_path)), phase=1)
    top = max(trials, key=lambda t: t.value).params
    assert found == arguments(top, 1)
    assert (found["plan"].lr, found["plan"].epochs) == (top["lr"], 300)

    write_csv(study, tmp_path / "results.csv")
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [float(r["params_lr"]) for r in rows] == [t.params["lr"] for t in trials]
    assert [r["state"] for r in rows] == ["COMPLETE"] * 5
    pictures = draw(study, tmp_path)
    assert [p.name for p in pictures] == [
        f"phase1_hp_search_{n}.png" for n in ("history", "curves", "importances")
    ]
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in pictures)


def test_a_bad_trial_is_pruned_after_the_tenth_epoch(tmp_path):
    study = run(
        tmp_path, 7, epochs=11, score=lambda lr, number, epoch: 20.0 if number == 5 else 30.0 + number
    )
    states = [t.state for t in study.get_trials()]
    assert states == [STATES.COMPLETE] * 5 + [STATES.PRUNED, STATES.COMPLETE]
    assert study.trials[5].last_step == 10
    assert counted(study) == 7


def work(folder):
    run(folder, 6, score=slow)


def slow(lr, number, epoch):
    import time

    time.sleep(0.1)
    return near_1e4(lr, number, epoch)


def test_two_processes_share_a_study(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=work, args=(tmp_path,)) for _ in range(2)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(120)
    assert [w.exitcode for w in workers] == [0, 0]
    study = found_study(1, url=url(tmp_path))
    assert {t.state for t in study.trials} == {STATES.COMPLETE}
    assert 6 <= len(study.trials) <= 7  # both may begin what is the last one
    who = [p.name.rpartition("-")[2] for p in (tmp_path / "workers").iterdir()]
    assert set(who) == {str(w.pid) for w in workers}
    assert len(who) == len(study.trials)  # no trial was run twice


def lost(folder):
    """A worker that is killed in the middle of its trial."""
    study = open_study(1, url=url(folder), seed=0)
    make = making(folder, near_1e4)

    def dying(**wanted):
        r = make(**wanted)
        return replace(r, validate=lambda m, step: os._exit(9) if step > EPOCH else r.validate(m, step))

    study.optimize(lambda t: objective(t, dying, phase=1, names=("lr",), epochs=3), n_trials=1)


def test_a_lost_workers_trial_is_taken_up_where_it_stopped(tmp_path):
    worker = multiprocessing.get_context("spawn").Process(target=lost, args=(tmp_path,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 9
    with sqlite3.connect(tmp_path / "study.db") as db:  # two minutes later
        assert db.execute("update trial_heartbeats set heartbeat = '2020-01-01 00:00:00'").rowcount == 1
    steps = []
    study = open_study(1, url=url(tmp_path), seed=1)
    make = making(
        tmp_path, lambda lr, number, epoch: steps.append((number, epoch)) or near_1e4(lr, number, epoch)
    )
    search(study, make, phase=1, names=("lr",), trials=1, epochs=3)
    first, second = study.get_trials()
    assert (first.state, second.state) == (STATES.FAIL, STATES.COMPLETE)
    assert first.params == second.params
    assert steps == [(0, 2), (0, 3)]  # the first epoch was there already
    assert list(second.intermediate_values) == [1, 2, 3]


def test_trials_that_cannot_be_compared_are_refused(tmp_path):
    run(tmp_path, 1, setting={"data": "a", "sizes": (1, 2)})
    run(tmp_path, 2, setting={"data": "a", "sizes": (1, 2)})
    with pytest.raises(TweenError, match="begun with another data, so"):
        run(tmp_path, 3, setting={"data": "b", "sizes": (1, 2)})
    with pytest.raises(TweenError, match="another epochs, names"):
        run(tmp_path, 3, epochs=4, names=("lr",), setting={"data": "a", "sizes": (1, 2)})


def test_a_trial_that_fails_is_told_and_three_on_end_stop_the_search(tmp_path):
    def once(lr, number, epoch):
        if number == 1:
            raise TweenError("it went wrong")
        return 30.0

    study = run(tmp_path, 3, score=once)
    assert [t.state for t in study.trials] == [STATES.COMPLETE, STATES.FAIL, STATES.COMPLETE]
    assert study.trials[1].user_attrs == {"failed": "it went wrong"}

    def never(lr, number, epoch):
        raise TweenError("it went wrong")

    with pytest.raises(TweenError, match="three trials on end failed, the last one because it went wrong"):
        run(tmp_path, 30, score=never)
    assert counted(study) == 6


def test_a_new_study_does_not_go_on_with_an_old_ones_runs(tmp_path):
    run(tmp_path, 1)
    (tmp_path / "study.db").unlink()
    study = run(tmp_path, 1)
    assert list(study.trials[0].intermediate_values) == [1, 2, 3]


def test_storage_that_cannot_be(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(TweenError, match="can be written, but: unable to open"):
        open_study(1, url=f"sqlite:///{tmp_path}/nowhere/study.db")
    with pytest.raises(TweenError, match="such as sqlite"):
        open_study(1, url="study.db")


def test_a_study_that_is_not_there(tmp_path):
    with pytest.raises(TweenError, match="no study phase1_hp_search in"):
        found_study(1, url=url(tmp_path))
    assert not (tmp_path / "study.db").exists()
    study = open_study(1, url=url(tmp_path))
    with pytest.raises(TweenError, match="no finished trial"):
        best(study, phase=1)
    with pytest.raises(TweenError, match="no study other"):
        found_study(1, url=url(tmp_path), name="other")
