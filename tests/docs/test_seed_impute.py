"""The rows of Interpolated Diffusion in docs/seed-commands.md run as they stand, for a step; those of 8 GPUs by one
process here, by two in tests/docker."""

import re
import shlex

import pytest
import torch
from PIL import Image

from tests.data.test_labelled import archive
from tests.docs.test_seed_commands import IMPUTE, TORCHRUN, ours, rows
from tween.cli import train
from tween.cli.main import main
from tween.data.latents import Latents, write
from tween.engine.checkpoint import read
from tween.nn.vae.sd import open_sd

CELLS = [right for seed, _, right in rows() if seed == IMPUTE]
LINES = [line for cell in CELLS for line in ours(cell)]
SINGLE = [
    line for cell in CELLS for line in ours(cell) if not TORCHRUN.search(cell) and "train impute" in line
]
MANY = [line for cell in CELLS for line in ours(cell) if TORCHRUN.search(cell)]
TINY = "--device cpu --no-amp --encoder-width 8"
SMALL = f"{TINY} --encoder-steps 1 --width 64 --layers 1 --n-pos-per-class 2 --drift-n-unc 2"
FEW = "--n-classes-step 2 --n-gen-per-class 2"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Every data set of the rows in small, under the words that the page has for them."""
    root = tmp_path_factory.mktemp("sets")
    archive(root / "CIFAR10", train=6, test=4)
    write(root / "SHARDS", Latents(clips=torch.randn(12, 9, 4, 8, 8).half(), text=None, prompts=("",) * 12))
    for name in "ab":
        (root / "PICTURES" / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (70, 64), (30 * i, 90, 40)).save(root / "PICTURES" / name / f"{i}.png")
    torch.manual_seed(0)
    open_sd(None).vae.save_pretrained(root / "SDVAE")
    return root


@pytest.fixture
def words(place):
    """A line's words, those that name a data set as paths."""
    return lambda line: [str(place / w) if (place / w).is_dir() else w for w in shlex.split(line)]


def test_all_rows_are_run_by_a_test_below():
    assert len(SINGLE) == 7
    assert len(MANY) == 2
    rest = [line for line in LINES if line not in (*SINGLE, *MANY)]
    assert [line.split()[:2] for line in rest] == [["train", "keypatches"], ["fill", "board.json"]]


@pytest.mark.parametrize("line", SINGLE)
def test_a_refiner(line, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    steps = "" if line.endswith("--steps 3") else "--steps 1"
    sizes = "" if "--n-classes-step" in line else FEW
    side = "" if "--image-size 64" in line or "CIFAR10" in line else "--image-size 32"
    assert main(words(f"{line} {SMALL} {steps} {sizes} {side}")) == 0
    assert re.search(r"finished at step [13],", capsys.readouterr().out)
    logged = (tmp_path / "runs/impute/log.jsonl").read_text()
    assert "interp/mse_missing" in logged
    assert "interp/mse_all" in logged


def test_the_objectives_compared(words, tmp_path, monkeypatch):
    (line,) = [line for line in LINES if "train keypatches" in line]
    monkeypatch.chdir(tmp_path)
    more = f"{TINY} {FEW} --width 64 --layers 1 --steps 1 1 1 --seeds 1 --batch-size 4"
    assert main(words(f"{line} {more}")) == 0
    assert (tmp_path / "OUT/keypatches.md").is_file()


def test_the_recipes_of_8_gpus(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder, refiner = MANY
    sizes = {encoder: "--batch-size 4", refiner: f"{SMALL} {FEW}"}
    for line in MANY:
        assert main(words(f"{line} {TINY} --image-size 16 --steps 1 --effective-batch 8 {sizes[line]}")) == 0
    assert read(tmp_path / "runs/impute/last.safetensors")[1]["config"]["accumulate"] == 2


def test_the_plans_flags_are_ours():
    """The left of a row, with underscores and all, means what the right means."""
    pairs = [
        (left.strip("`"), ours(right)[0]) for s, left, right in rows() if s == IMPUTE and "python -m" in left
    ]
    assert len(pairs) == 4
    for left, right in pairs:
        plan = [word for word in shlex.split(left)[3:] if word != "..."]
        parse = train.parser().parse_args
        assert parse(train.dashed(["impute", *plan])) == parse(shlex.split(right)[1:])
