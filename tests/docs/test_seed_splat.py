"""The rows of GS-Mamba in docs/seed-commands.md run as they stand, by one process and by two."""

import re
import shlex

import pytest

from tests.data import layouts
from tests.docs.test_seed_commands import SPLAT, ours, rows
from tests.engine.test_distributed import torchrun
from tween.cli import train, train_splat
from tween.cli.main import main
from tween.data import x4k
from tween.engine.checkpoint import read
from tween.models.splat.config import TOY
from tween.models.splat.net import SplatNet
from tween.recipes import splat

SMALL = (
    "--batch-size 1 --crop 64 --no_amp --num-workers 0 --steps 2 --epochs 2 --eval_full_every 2 --device cpu"
)
LINES = {
    line.split()[0] + str(i): line
    for i, line in enumerate(c for s, _, r in rows() if s == SPLAT for c in ours(r))
}


class Small(SplatNet):
    """The network that the recipe builds, in a toy's widths."""

    def __init__(self, config=None):
        super().__init__(config or TOY)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    layouts.vimeo(root / "vimeo")
    layouts.xtest(layouts.xtrain(root / "X4K", size=(72, 72)), ("Type1/TEST01",), size=(128, 64))
    return {"VIMEO": root / "vimeo", "X4K": root / "X4K"}


@pytest.fixture
def tween(sets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(splat, "SplatNet", Small)
    monkeypatch.setattr(x4k, "TEST_SIZE", (128, 64))
    return lambda line: main([str(sets.get(word, word)) for word in shlex.split(line)])


def test_train_and_measure(tween, tmp_path, capsys):
    """One epoch of Vimeo, the full benchmark after the second; then the plan's evaluation of the best weights."""
    assert tween(f"{LINES['train0']} {SMALL}") == 0
    assert tween(LINES["eval3"] + " --device cpu") == 0
    said = capsys.readouterr().out
    assert re.search(r"my_exp_best on vimeo: PSNR \d", said)
    assert re.search(r"my_exp_best on x4k: PSNR \d", said)
    assert read(tmp_path / "runs/my_exp/last.safetensors")[1]["config"]["about"]["mode"] == "vimeo_only"


def test_windows_of_many_lengths(tween, capsys):
    assert tween(f"{LINES['train2']} {SMALL}") == 0
    assert "finished at step 2" in capsys.readouterr().out


def test_the_plans_flags_are_ours():
    (plan,) = [left for s, left, _ in rows() if s == SPLAT and "--mode" in left]
    parse = train.parser().parse_args
    left = parse(train.dashed(["splat", *shlex.split(plan.strip("`"))[3:]]))
    assert left == parse(shlex.split(LINES["train2"])[1:])
    assert left.x4k_steps == list(train_splat.STEPS)
    assert left.x4k_n_frames == list(train_splat.N_FRAMES)
    assert left.growing is False


def test_two_processes_train_one_run(sets, tmp_path):
    words = [str(sets.get(word, word)) for word in shlex.split(f"{LINES['train1']} {SMALL}")]
    words += ["--steps", "1", "--epochs", "1", "--crop", "64", "64"]
    done = torchrun("-m", "tween", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("finished at step 1") == 1
    head = read(tmp_path / "runs/my_exp/last.safetensors")[1]
    assert head["config"]["world"] == 2
