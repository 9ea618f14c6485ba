"""`tween search` from end to end on a small network, its gate, and `tween train interp --from-study`."""

import csv
import json
from functools import partial

import pytest

from tests.cli.test_ablate import started_by_torchrun
from tests.data.made import folder
from tests.recipes.toy_feed import SMALL
from tween.cli import search as cli_search
from tween.cli import train_interp
from tween.cli.main import main
from tween.cli.train import parser
from tween.models.interp.config import THESIS, with_block
from tween.recipes import search
from tween.recipes.search_space import arguments

QUICK = [
    *("--epochs", "1", "--epoch-samples", "2", "--batch-size", "2", "--crop", "64"),
    *("--precision", "fp32", "--device", "cpu", "--num-workers", "1"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        search, "arguments", partial(arguments, base=with_block(SMALL, backbone="gated_attn_only"))
    )
    made = folder(tmp_path)
    return [word for name in ("data", "packed", "photos", "val") for word in (f"--{name}", str(made[name]))]


@pytest.mark.filterwarnings("ignore:Heartbeat")  # of the trial that stands for another worker's
def test_search_then_retrain_the_best_in_full(place, tmp_path, capsys, monkeypatch):
    command = ["search", "phase1", "--baseline", "35.2", *QUICK, *place, "--stem-stride", "2"]
    assert main([*command, "--trials", "1"]) == 0
    assert main([*command, "--trials", "2"]) == 0  # it goes on
    said = capsys.readouterr().out
    assert "baseline 35.20 dB on Vimeo90K, at least 35: search" in said
    assert "phase1_hp_search: 2 trials (2 complete)" in said
    assert said.count("warm-up takes 2000 of 1 steps") == 2
    rows = list(csv.DictReader((tmp_path / "optuna_phase1_results.csv").open()))
    assert set(rows[0]) >= {"params_lr", "params_weight_decay", "params_use_ecab", "params_use_mhc", "value"}
    assert (tmp_path / "phase1_hp_search_history.png").is_file()
    started_by_torchrun(monkeypatch, "1")
    assert main([*command, "--trials", "3"]) == 0
    assert capsys.readouterr().out.count("psnr") == 1  # of its one epoch: the first worker tells the rest
    assert len(search.found_study(1).trials) == 3
    study, pruned = search.found_study(1), search.optuna().trial.TrialState.PRUNED
    other = study.ask()  # another worker is at it
    monkeypatch.setattr(cli_search.time, "sleep", lambda seconds: study.tell(other, state=pruned))
    started_by_torchrun(monkeypatch, "0")
    assert main([*command, "--trials", "4"]) == 0
    assert "4 trials (3 complete, 1 pruned)" in capsys.readouterr().out
    rows.append({f"params_{k}": str(v) for k, v in search.found_study(1).trials[2].params.items()})
    rows[2]["value"] = str(search.found_study(1).trials[2].value)

    monkeypatch.setattr(search, "arguments", arguments)
    train = ["interp", "--phase", "1", *place, "--device", "cpu", "--from-study"]
    run = train_interp.build(vars(parser().parse_args(train)))
    best = max(rows, key=lambda r: float(r["value"]))
    assert run.optim.lr == float(best["params_lr"])
    assert run.optim.weight_decay == float(best["params_weight_decay"])
    config = run.task.modules["net"].config
    assert (config.block.channel_attention == "eca") == (best["params_use_ecab"] == "True")
    assert (config.block.residual == "mhc") == (best["params_use_mhc"] == "True")
    assert (config.width, config.stem_stride) == (THESIS.width, 2)  # as every trial had it
    assert run.steps == 300 * run.save_interval  # in full
    over = train_interp.build(
        vars(parser().parse_args([*train, "--lr", "3e-4", "--warmup", "5", "--epochs", "1"]))
    )
    assert (over.optim.lr, over.optim.weight_decay) == (3e-4, run.optim.weight_decay)  # flags count more


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "name it by --baseline"),
        (["--baseline", "34.2"], "by hand, or search all the same with --force"),
        (["--baseline", "28"], "a fault to mend, or search all the same with --force"),
        (["--baseline", "nowhere.json"], "neither"),
        (["--baseline", "other.json"], "measured on Vimeo90K, but other.json was measured on davis30"),
    ],
)
def test_the_gate_is_shut(place, tmp_path, capsys, flags, said):
    (tmp_path / "other.json").write_text(json.dumps({"dataset": "davis30", "psnr": 40.0}))
    assert main(["search", "phase1", *flags, *QUICK, *place]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "optuna_phase1.db").exists()


def test_a_measured_baseline_opens_the_gate_and_phases_have_studies_of_their_own(place, tmp_path, capsys):
    (tmp_path / "eval.json").write_text(json.dumps({"dataset": "vimeo", "psnr": 35.6}))
    flags = ["--trials", "1", "--baseline", "eval.json", *QUICK, *place]
    assert main(["search", "phase2", *flags]) == 0
    said = capsys.readouterr().out
    assert "baseline 35.60 dB" in said
    assert "loss_vgg_weight is searched, but changes nothing: no VGG-19 weights" in said
    assert main(["search", "phase3", *flags, "--crop", "64"]) == 0
    for phase, names in (
        (2, {"lr", "freeze_epochs", "loss_vgg_weight"}),
        (3, {"lr", "curriculum_T", "mixed_ratio"}),
    ):
        study = search.found_study(phase)
        assert set(study.trials[0].params) == names
        assert (tmp_path / f"optuna_phase{phase}.db").is_file()


def test_another_setting_is_refused(place, capsys):
    command = ["search", "phase1", "--force", "--trials", "1", *QUICK, *place]
    assert main(command) == 0
    assert main([*command, "--trials", "2", "--synthetic", "0.5"]) == 2
    assert "begun with another synthetic" in capsys.readouterr().err


def test_nothing_to_retrain(place, capsys):
    assert main(["train", "interp", "--phase", "1", *place, "--device", "cpu", "--from-study"]) == 2
    assert "there is no study phase1_hp_search in sqlite:///optuna_phase1.db" in capsys.readouterr().err
