"""The front door: cheap help, known commands, frozen flags, one line and an exit code for every mistake."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tween import cli
from tween.cli import models
from tween.cli.main import COMMANDS, main

FLAGS = {
    "interpolate": "--codec --crf --device --dry-run --factor --fps --frames --help --input-rate --json --model "
    "--output --overwrite --pix-fmt --precision --preset --retime-duplicates --scale --scene --slowmo --ss --to",
    "fill": "--codec --crf --device --draft --fps --frames --help --model --output --overwrite --pix-fmt --precision "
    "--scale --seed --text --times --variants",
    "generate": "--actions --blocks --crf --device --fps --help --image --latents --model --output --overlay "
    "--overwrite --seed --steps --verbose --world",
    "play": "--actions --device --help --host --image --latents --output --overlay --overwrite --port --record --seed "
    "--steps --terminal --world",
    "splat": "--at --crf --degrees --device --frames --help --model --output --overwrite --seconds",
    "verify": "--help --input-rate --json --output-rate --retime-duplicates --slowmo --ss --to",
    "models": "--help --json",
    "train fast": "--batch-size --crop --data --device --flips --help --lr --minutes --name --no-compile --packed "
    "--photos --pixels --resume --sharded --shrink --start --steps --synthetic --val --workers",
    "ablate": "--batch-size --compiled --crop --data --data-path --device --ema --help --list --lr --minutes "
    "--num-workers --out --packed --photos --pixels --precision --rows --runs --seeds --show --sitting "
    "--start --stem-stride --steps --synthetic --teacher --triplets --val --val-set --vgg --warmup --x4k-path",
    "search": "--baseline --batch-size --compiled --crop --data --data-path --device --ema --epoch-samples --epochs "
    "--force --help --num-workers --out --packed --photos --pixels --precision --runs --seed --start "
    "--stem-stride --storage --study-name --synthetic --trials --triplets --val --val-set --vgg --whole-space "
    "--x4k-path",
    "doctor": "--help",
}


@pytest.mark.parametrize("argv", [["--help"], ["--version"], []])
def test_the_door_imports_no_torch(argv):
    code = f"import sys; from tween.cli.main import main; main({argv}); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_every_command_is_a_module_and_the_other_way_round():
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    parts = {name for name in modules if "_" in name}  # what commands are made of has two words
    assert set(COMMANDS) == modules - parts - {"main"}


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in COMMANDS)
    assert main([]) == 2


@pytest.mark.parametrize("command", FLAGS)
def test_flags_are_frozen(command, capsys):
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    found = set(re.findall(r"--[a-z][a-z0-9-]*", capsys.readouterr().out))
    mentioned = (
        {"--force-reinstall", "--model"}
        if command not in ("interpolate", "fill", "generate", "splat")
        else set()
    )
    assert found - mentioned == set(FLAGS[command].split())


def test_short_flags_of_interpolate(capsys):
    with pytest.raises(SystemExit):
        main(["interpolate", "--help"])
    out = capsys.readouterr().out
    assert re.search(r"-o OUT", out)
    assert re.search(r"-y\b", out)


def test_an_unknown_command(capsys):
    assert main(["interpolat"]) == 2
    assert "interpolate" in capsys.readouterr().err


def test_an_unknown_flag_is_exit_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["interpolate", "a.mp4", "--speed", "3"])
    assert stop.value.code == 2


def test_the_environment_is_set_before_torch():
    code = (
        "import os, sys; from tween.cli.main import main; main(['models']);"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE' and os.environ['GOMP_SPINCOUNT'] == '0'"
    )
    bare = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    assert subprocess.run([sys.executable, "-c", code], env=bare, timeout=120).returncode == 0


def test_a_bug_is_one_line_and_exit_1(monkeypatch, capsys):
    def broken(argv):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(models, "main", broken)
    assert main(["models"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("tween: a bug: ZeroDivisionError at test_main.py:")
    assert err.count("\n") == 1


def test_memory_that_ran_out_is_no_bug(monkeypatch, capsys):
    def large(argv):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr(models, "main", large)
    assert main(["models"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tween: what was asked for should fit into memory")
    assert err.count("\n") == 1


def test_a_command_gives_signals_back(capsys):
    """Who calls it from Python, as process pools do, is stopped by SIGTERM as before."""
    before = signal.getsignal(signal.SIGTERM)
    assert main(["interpolate", "absent.mp4", "-o", "out.mp4"]) == 2
    assert "absent.mp4" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
