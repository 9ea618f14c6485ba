"""The rows of Interpolated Diffusion in docs/seed-commands.md run as they stand, for a step; those of 8 GPUs by one
process here, by two in tests/docker."""

import json
import re
import shlex

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data import layouts, made
from tests.data.test_labelled import archive
from tests.docs.test_seed_commands import IMPUTE, TORCHRUN, ours, rows
from tests.models.impute.codecs import codec
from tween.cli import train
from tween.cli.main import main
from tween.data.latents import Latents, write
from tween.engine import checkpoint
from tween.engine import train as train_run
from tween.engine.checkpoint import read
from tween.evaluate import representation
from tween.models.impute.config import EncoderConfig
from tween.nn.vae.sd import open_sd
from tween.recipes.impute import classifier
from tween.video.images import load

CELLS = [right for seed, _, right in rows() if seed == IMPUTE]
LINES = [line for cell in CELLS for line in ours(cell)]
SINGLE = [
    line
    for cell in CELLS
    for line in ours(cell)
    if not TORCHRUN.search(cell) and "train impute" in line and "VIDEOS" not in line and "gaps" not in line
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
    assert len(SINGLE) == 18
    assert len(MANY) == 2
    rest = [line for line in LINES if line not in (*SINGLE, *MANY)]
    assert [" ".join(line.split()[:2]) for line in rest] == [
        "train keypatches",
        "data encode",
        "train impute",
        "fill board.json",
        "fill board.json",
        "train impute",
        "eval impute",
        "interpolate sparse.mp4",
    ]


@pytest.mark.parametrize("line", SINGLE)
def test_a_refiner(line, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(representation, "planes", lambda *_, **__: {})  # slow, and drawn in tests/cli
    steps = "" if line.endswith("--steps 3") else "--steps 1"
    sizes = "" if "--n-classes-step" in line else FEW
    side = "" if "--image-size 64" in line or "CIFAR10" in line else "--image-size 32"
    small = SMALL.replace("--no-amp", "") if "--amp-bf16" in line else SMALL
    assert main(words(f"{line} {small} {steps} {sizes} {side}")) == 0
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


def test_videos_become_latents_and_a_refiner_of_these(tmp_path, monkeypatch):
    """The shards are written and learned from, then a refiner of single frames is trained and fills a board."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(representation, "planes", lambda *_, **__: {})
    made.clip(tmp_path / "VIDEOS/a.avi", n=30)
    codec(tmp_path / "VAE.safetensors")
    layouts.board(tmp_path / "board.json")
    np.save("SAID.npy", np.ones((1, 6), np.float32))
    (tmp_path / "SAID.txt").write_text("A dog runs\n")
    encode, train, fill = (
        next(line for line in LINES if words in line)
        for words in ("data encode", "--data-path VIDEOS", "--model runs/impute")
    )
    assert main(shlex.split(f"{encode} --vae VAE.safetensors --frames 13 --size 32 32 --device cpu")) == 0
    small = f"{SMALL} {FEW} --steps 1 --codes 2 --gaps 2"
    (shards,) = {line for line in SINGLE if "SHARDS" in line and line.endswith("SHARDS")}
    assert main(shlex.split(f"{shards.replace('SHARDS', 'LATENTS')} --name shards {small}")) == 0
    assert main(shlex.split(f"{train} --image-size 16 --frames 9 {small}")) == 0
    assert main(shlex.split(f"{fill.replace('refined.mp4', 'out_%d.png')} --device cpu")) == 0
    assert np.array_equal(load(tmp_path / "out_1.png"), load(tmp_path / "0.png"))


@pytest.fixture
def sparse(place, tmp_path, monkeypatch):
    """A folder of clips, a judge of pictures, and a video of few frames, under the words of the page."""
    monkeypatch.chdir(tmp_path)
    made.clip(tmp_path / "CLIPS/a.avi", n=30)
    shots = [f"a.avi,{i},{i},{i + 13},2.0\n" for i in range(4)]
    head = "file,shot,start_frame,end_frame_excl,mean_flow_px\n"
    (tmp_path / "CLIPS/shots.csv").write_text("".join([head, *shots]))
    config = EncoderConfig(width=8, blocks=(1, 1), groups=4, classes=2)
    batch = torch.rand(4, 3, 16, 16), torch.arange(4) % 2
    run = classifier(lambda i: batch, config, device="cpu", steps=1, batch_size=4, runs=tmp_path)
    train_run(run)
    checkpoint.lean(run.folder / "last.safetensors", tmp_path / "JUDGE")
    layouts.video(tmp_path / "sparse.mp4", n=3)
    return tmp_path


def test_clips_are_learned_judged_and_filled(sparse, capsys):
    """Train, evaluate and use, one after the other as they stand on the page."""
    small = f"{FEW} --n-pos-per-class 2 --drift-n-unc 0 --gaps 2 4 --cuts 8 --image-size 16 --codes 2 --hold-out 2"
    more = {
        "train": f"{small} {TINY} --width 32 --layers 1 --encoder-steps 1 --steps 1 --interp-mode linear",
        "eval": "--gaps 2 4 --size 64 64 --beside blend fast --hold-out 2 --device cpu",
        "interpolate": "--device cpu",
    }
    lines = [line for line in LINES if re.search("gaps|eval impute|impute_best", line)]
    assert [line.split()[0] for line in lines] == ["train", "eval", "interpolate"]
    for line in lines:
        assert main(shlex.split(f"{line} {more[line.split()[0]]}")) == 0, line
    table = json.loads((sparse / "impute.json").read_text())["gaps"]
    assert {*table["4"]} == {"blend", "fast", "impute"}
    layouts.board(sparse / "board.json")
    np.save("words.npy", np.ones(4, np.float32))
    board = "fill board.json --model impute_best --device cpu"
    assert main(shlex.split(f"{board} -o board_%03d.png --fps 4")) == 0
    assert main(shlex.split(f"{board} -o told_%03d.png --text words.npy")) == 2
    said = capsys.readouterr()
    assert re.search(r"full.mp4: 12 frames .*\(3 of them the source's own\)", said.out)
    assert re.search(r"board_%03d.png: \d+ frames", said.out)
    assert "takes no text" in said.err
