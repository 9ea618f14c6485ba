"""`tween train keypatches`, `impute` and `latent-mae` at toy size, from a folder of data to what they leave behind."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.made import clip
from tests.data.test_labelled import archive
from tests.engine.test_distributed import torchrun
from tween.cli.main import main
from tween.data import episodes
from tween.data.latents import Latents, write
from tween.engine.checkpoint import read
from tween.evaluate import representation
from tween.recipes import impute_video
from tween.recipes.impute import read_encoder, read_refiner

TINY = ["--device", "cpu", "--no-amp", "--encoder-width", "8", "--width", "64", "--layers", "1"]
FEW = ["--n-classes-step", "2", "--n-gen-per-class", "2", "--n-pos-per-class", "2", "--drift-n-unc", "2"]


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(recipe, *flags, tiny=True):
        small = [*TINY, *FEW] if recipe != "latent-mae" else [*TINY[:5], "--batch-size", "4"]
        return main(
            ["train", recipe, *map(str, flags), *(small if tiny else ["--device", "cpu", "--no-amp"])]
        )

    return run


@pytest.fixture
def no_planes(monkeypatch):
    """Where a test does not look at them: they take a second and more each."""
    monkeypatch.setattr(representation, "planes", lambda *_, **__: {})


def logged(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_pivot_in_one_command(train, tmp_path, capsys):
    archive(tmp_path / "data", train=12, test=8)
    flags = ["--data", tmp_path / "data", "--out", tmp_path / "out", "--steps", 3, 3, 2, "--batch-size", 8]
    methods = (
        "drift",
        "drift-clamp",
        "paired",
        "drift-style",
        "drift-explicit",
        "drift-clean",
        "drift-paired",
    )
    assert train("keypatches", *flags, "--methods", *methods, "--seeds", 2) == 0
    found = json.loads((tmp_path / "out/keypatches.json").read_text())
    assert list(found["table"]) == ["12.5%", "25.0%", "50.0%"]
    for row in found["table"].values():
        assert list(row) == ["IDW", "harmonic", *methods]
        assert row["drift-clamp"]["mse_known"]["mean"] == row["IDW"]["mse_known"]["mean"] == 0
        assert row["drift"]["mse_known"]["mean"] > 0
        assert row["drift-style"]["spread"]["mean"] >= 0
        assert row["drift"]["seeds"] == 2
        assert row["IDW"]["seeds"] == 1
    page = (tmp_path / "out/representation.md").read_text()
    for said in (
        "temperatures",
        "occupancy/entropy",
        "retrieval/purity",
        "kernel/mass_ratio@0.05",
        "exemplars.png",
    ):
        assert said in page
    assert found["facts"]["steps"] == 2
    assert found["facts"]["pictures"] == 16
    assert 0 <= found["facts"]["encoder accuracy"] <= 1
    with Image.open(tmp_path / "out/keypatches.png") as sheet:
        assert sheet.height == 66 * (4 + len(methods))
    net = read_refiner(tmp_path / "out/keypatches-drift-0.safetensors", "cpu")
    assert net.config.grid == (8, 8)
    assert (tmp_path / "out/keypatches.md").read_text() in capsys.readouterr().out


@pytest.mark.usefixtures("no_planes")
def test_the_pivot_measures_how_many_steps_its_minutes_allow(train, tmp_path, monkeypatch):
    archive(tmp_path / "data", train=12, test=8)
    where = ["--data", tmp_path / "data", "--out", tmp_path / "out", "--batch-size", 4]
    monkeypatch.setattr("tween.engine.sitting.WARM", 1)
    assert (
        train("keypatches", *where, "--minutes", 0.02, 0.02, 0.02, "--seeds", 2, "--methods", "paired") == 0
    )
    steps = json.loads((tmp_path / "out/keypatches.json").read_text())["facts"]["steps"]
    assert steps > 3
    assert read(tmp_path / "runs/keypatches-paired-1/last.safetensors")[1]["step"] == steps


def test_pictures_of_a_folder_go_on_where_they_stopped(train, tmp_path):
    for split in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / "set" / split / name).mkdir(parents=True)
            for i in range(6):
                Image.new("RGB", (20, 24), (40 * i, 100, 30)).save(
                    tmp_path / "set" / split / name / f"{i}.png"
                )
    flags = ["--dataset", "folder", "--data-path", tmp_path / "set", "--image-size", 16, "--encoder-steps", 2]
    assert train("impute", *flags, "--name", "parts", "--steps", 4, "--minutes", 0) == 0
    assert train("impute", *flags, "--name", "parts", "--steps", 4) == 0
    assert train("impute", *flags, "--name", "whole", "--steps", 4) == 0
    parts, whole = (read(tmp_path / "runs" / name / "last.safetensors") for name in ("parts", "whole"))
    assert parts[1]["step"] == whole[1]["step"] == 4
    assert all(torch.equal(parts[0][k], whole[0][k]) for k in whole[0])
    assert {"interp/mse_missing", "interp/mse_all", "drift"} <= logged(tmp_path / "runs/whole")[-1].keys()
    assert "drift/stage1/mean/v2@0.05" in logged(tmp_path / "runs/whole")[-1]
    assert "retrieval/purity" in (tmp_path / "runs/whole/report.md").read_text()


@pytest.mark.usefixtures("no_planes")
def test_flags_reach_the_run(train, tmp_path):
    lines = (
        "--dataset fake --image-size 16 --steps 1 --optimizer muon --objective both --paired-loss-weight 7",
        "--style 3 --keep-anchors-fixed 1 --predict clean --explicit-keys 1 --interp-mode laplacian",
        "--corrupt-mode dist --vanilla-loss-weight 0.5 --feature-include-patch-stats 0 --cfg-alpha-one 0",
        "--grad-accum 2 --seed 3",
    )
    assert train("impute", *" ".join(lines).split()) == 0
    config = read(tmp_path / "runs/impute/last.safetensors")[1]["config"]
    trunk, objective = config["configs"]["refiner"]["trunk"], config["settings"]["objective"]
    assert (trunk["style"], trunk["clamp"], trunk["residual"], trunk["explicit"]) == (3, True, False, True)
    assert (objective["paired"], objective["importance"], objective["taps"]["patches"]) == (
        7.0,
        {"plain": 0.5},
        [],
    )
    assert config["optim"]["muon"]
    assert (config["accumulate"], config["seed"], config["about"]["fill"]) == (2, 3, "laplacian")
    assert logged(tmp_path / "runs/impute")[-1]["refined/mse_known"] == 0


@pytest.mark.usefixtures("no_planes")
def test_latents_by_either_encoder(train, tmp_path):
    flags = ["--dataset", "fake", "--image-size", "16", "--input-space", "latent", "--steps", "2"]
    assert train("impute", *flags, "--encoder-steps", 1, "--name", "resnet") == 0
    assert read_encoder(tmp_path / "runs/resnet-encoder/last.safetensors", "cpu").config.channels == 3
    assert train("latent-mae", *flags, "--effective-batch", 8) == 0
    assert read(tmp_path / "runs/latent-mae/last.safetensors")[1]["config"]["accumulate"] == 2
    mae = tmp_path / "runs/latent-mae/last.safetensors"
    assert read_encoder(mae, "cpu").config.channels == 4
    assert train("impute", *flags, "--feature-space", "latent_mae", "--encoder", mae) == 0
    assert read_refiner(tmp_path / "runs/impute/last.safetensors", "cpu").config.values == 16


@pytest.mark.usefixtures("no_planes")
def test_statistics_of_the_kernel_go_to_the_log_and_not_to_the_console(train, tmp_path, capsys):
    flags = ["--dataset", "fake", "--image-size", "16", "--steps", "1", "--encoder-steps", "0"]
    assert train("impute", *flags, "--drift-stats", 1, "--log-interval", 1) == 0
    (line,) = logged(tmp_path / "runs/impute")
    assert line["drift/stage1/mean/v2@0.2"] > 0
    said = capsys.readouterr().out
    assert "v2@" not in said
    assert "drift " in said
    assert "interp/mse_missing" in said


def test_clips_of_latents_with_text(train, tmp_path):
    g = torch.Generator().manual_seed(0)
    clips, text = torch.randn(24, 9, 4, 8, 8, generator=g).half(), torch.randn(24, 6, generator=g)
    prompts = tuple(f"{'A dog' if i % 2 else 'The cat'} runs" for i in range(24))
    write(tmp_path / "shards", Latents(clips=clips, text=text, prompts=prompts))
    flags = ["--dataset", "wansynth", "--data-path", tmp_path / "shards", "--steps", 2, "--encoder-steps", 2]
    assert train("impute", *flags, "--codes", 3, "--gaps", 4, 8, "--quantiser", "vq") == 0
    page = (tmp_path / "runs/impute/representation.md").read_text()
    assert "vq on what keyframes and text say" in page
    assert re.search(r"keyframes\S* \| [\d.]+ \|", page)
    assert (tmp_path / "runs/impute/tsne_family.png").is_file()
    head = read(tmp_path / "runs/impute/last.safetensors")[1]["config"]
    assert head["configs"]["refiner"]["trunk"]["classes"] == 3
    assert head["about"]["clips"] == 24
    assert head["about"]["shards"] == "shard-00000.tar to shard-00000.tar"
    assert read_encoder(tmp_path / "runs/impute-encoder/last.safetensors", "cpu").config.channels == 16


@pytest.mark.usefixtures("no_planes")
def test_clips_of_videos(train, tmp_path):
    clip(tmp_path / "v" / "a.avi", n=30)
    (tmp_path / "v" / "shots.csv").write_text(
        "file,shot,start_frame,end_frame_excl,mean_flow_px\na.avi,0,0,30,2.0\n"
    )
    flags = [
        "--dataset",
        "clips",
        "--data-path",
        tmp_path / "v",
        "--image-size",
        16,
        "--frames",
        9,
        "--codes",
        2,
    ]
    assert train("impute", *flags, "--steps", 1, "--encoder-steps", 1, "--interp-mode", "nearest") == 0
    assert read_refiner(tmp_path / "runs/impute/last.safetensors", "cpu").config.channels == 3


@pytest.mark.usefixtures("no_planes")
def test_clips_of_a_recorded_world(train, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 24, 16, 24, 3), np.uint8)
    whole = np.arange(24) == 12  # a new life
    episodes.write(
        tmp_path / "doom",
        [
            episodes.Episodes(
                frames=frames,
                keys=np.zeros((2, 24, 4), np.uint8),
                mouse=np.zeros((2, 24, 2), np.float32),
                pose=np.zeros((2, 24, 5), np.float32),
                cuts=np.stack([whole, whole]),
                about=({"size": (24, 16)},) * 2,
            )
        ],
    )
    made = impute_video.of_world(tmp_path / "doom", t=9, count=99)
    assert made.shape == (4, 9, 3, 16, 24)  # one window before the cut and one after it, of each
    assert len(impute_video.of_world(tmp_path / "doom", t=5, count=3)) == 3
    flags = [
        "--data-path",
        tmp_path / "doom",
        "--frames",
        5,
        "--codes",
        2,
        "--steps",
        1,
        "--encoder-steps",
        1,
    ]
    assert train("impute", "--dataset", "doom", *flags, "--gaps", 2, 4) == 0
    head = read(tmp_path / "runs/impute/last.safetensors")[1]["config"]
    assert head["about"] == {
        "clips": 8,
        "classes": 2,
        "fill": "linear",
        "gaps": [2, 4],
        "data": f"doom in {tmp_path / 'doom'}",
        "encoder": "impute-encoder, trained before; frozen",
    }


@pytest.mark.usefixtures("no_planes")
@pytest.mark.parametrize("toy", ["shapes", "maze"])
def test_a_toy_takes_steps(train, tmp_path, toy):
    assert train("impute", "--dataset", toy, "--steps", 2, "--encoder-steps", 2, tiny=False) == 0
    assert logged(tmp_path / "runs/impute")[-1]["refined/mse_known"] == 0


@pytest.mark.long
@pytest.mark.parametrize("toy", ["shapes", "maze"])
def test_a_toy_learns_to_fill_better_than_its_fill(train, tmp_path, toy):
    assert train("impute", "--dataset", toy, tiny=False) == 0
    last = logged(tmp_path / "runs/impute")[-1]
    assert last["refined/mse_missing"] < 0.95 * last["interp/mse_missing"]


@pytest.mark.usefixtures("no_planes")
@pytest.mark.parametrize(
    ("recipe", "flags", "said"),
    [
        ("impute", "--dataset cifar10", "needs --data-path"),
        ("impute", "--dataset clips", "needs --data-path"),
        ("impute", "--dataset fake --image-size 30 --steps 1", "whole patches of 4 pixels"),
        ("impute", "--dataset fake --interp-mode linear", "patches are filled by idw"),
        ("impute", "--dataset fake --n-gen-per-class 0", "a sample to refine"),
        ("impute", "--dataset fake --encoder gone --steps 1", "gone"),
        ("impute", "--dataset fake --image-size 16 --effective-batch 7 --steps 1", "choose a multiple of"),
        ("latent-mae", "--dataset maze", "no pictures to learn"),
        ("keypatches", "--data . --out o --methods magic", "there is no method 'magic'"),
        ("keypatches", "--data gone --out o", "gone"),
    ],
)
def test_mistakes_are_one_sentence(train, capsys, recipe, flags, said):
    words = flags.split()
    if "--n-gen-per-class" in words:
        assert main(["train", recipe, *words, *TINY]) == 2
    else:
        assert train(recipe, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.long  # tests/docker has two processes train one as well, on latents
def test_two_processes_train_one_refiner(tmp_path):
    flags = [
        "--dataset",
        "fake",
        "--image-size",
        "16",
        "--steps",
        "2",
        "--encoder-steps",
        "1",
        "--effective-batch",
        "16",
    ]
    done = torchrun(
        "-m", "tween", "train", "impute", *flags, "--effective-batch", "16", *TINY, *FEW, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("finished at step 2") == 1
    head = read(tmp_path / "runs/impute/last.safetensors")[1]
    assert head["config"]["world"] == 2
    assert head["config"]["accumulate"] == 2
