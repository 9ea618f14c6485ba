"""From recorded shards to a world that is walked in, by commands; and what is said of what does not fit."""

import json
from dataclasses import replace

import pytest
import torch

from tests.data.room import episode
from tween.cli.main import main
from tween.cli.train import parser
from tween.cli.train_world import planned
from tween.data.episodes import write
from tween.models.stream.sampling import even
from tween.zoo.worlds import load_world


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of shards, and what the three commands left beside it."""
    folder = tmp_path_factory.mktemp("shards")
    room = episode(["left", "walk", "right", "stand"], hold=12, h=32, w=48)
    about = tuple(replace_about(a) for a in room.about)
    write(folder / "data", [replace(room, about=about)])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        common = ["--data", "data", "--device", "cpu", "--precision", "fp32", "--batch-size", "1"]
        vae = ["train", "vae", *common, "--val", "data", "--length", "9", "--learn", "5", "--steps", "2"]
        assert main(vae) == 0
        stream = ["train", "stream", *common, "--latents", "6", "--window", "3"]
        first = [
            *stream,
            "--vae",
            "runs/vae-small/best.safetensors",
            "--steps",
            "2",
            "--world",
            "a.safetensors",
        ]
        assert main(first) == 0
        taught = [
            "--distill",
            "a.safetensors",
            "--name",
            "student",
            "--steps",
            "3",
            "--world",
            "b.safetensors",
        ]
        assert main([*stream, "--vae", "a.safetensors", *taught]) == 0
    yield folder
    torch.set_num_threads(threads)


def replace_about(about):
    return about | {"size": list(about["size"])}


def test_the_student_is_walked_in_from_its_file(made):
    many, few = (load_world(made / f"{name}.safetensors", "cpu") for name in "ab")
    assert (few.name, few.rate, few.size, few.filler.net.config.rule.window) == ("b", 17.5, (32, 48), 3)
    assert (many.filler.sampling.loop, len(many.filler.sampling.steps)) == ("adams", 10)
    assert (few.filler.sampling.loop, len(few.filler.sampling.steps)) == ("renoise", 3)
    first = 1 + 4 * (few.block - 1)
    clip, _ = few.open(seed=1).step(few.hold("W", first))
    assert clip.frames.shape == (1, first, 3, 32, 48)


def test_teacher_and_critic_take_turns(made):
    rows = (made / "runs" / "student" / "log.jsonl").read_text().splitlines()
    logged = json.loads(rows[-1])
    assert logged["step"] == 3
    assert {"critic/velocity", "student/matching"} <= logged.keys()
    assert json.loads((made / "runs" / "student" / "run.json").read_text())["task"] == "DistillTask"


def test_a_file_of_another_part(made, capsys, monkeypatch):
    monkeypatch.chdir(made)
    common = ["train", "stream", "--data", "data", "--device", "cpu"]
    assert main([*common, "--vae", "runs/stream/last.safetensors"]) == 2
    assert "should be a checkpoint of 'vae', but is one of net" in capsys.readouterr().err
    assert main([*common, "--vae", "nowhere.safetensors"]) == 2
    assert "nowhere.safetensors" in capsys.readouterr().err
    assert main(["train", "vae", "--data", "data", "--length", "8", "--device", "cpu"]) == 2
    assert "1 + 4m frames, but got 8" in capsys.readouterr().err


def test_flags_of_the_whole_chain_are_those_of_its_plan():
    from tween.recipes.world import Plan

    assert planned(vars(parser().parse_args(["doom", "--out", "x"]))) == Plan()


def test_many_steps_are_shifted_as_in_training_or_as_told():
    chosen = ["doom", "--out", "x", "--maps", "MAP01", "MAP07", "--shift", "2", "--steps", "8"]
    plan = planned(vars(parser().parse_args(chosen)))
    assert plan.record.maps == ("MAP01", "MAP07")
    assert plan.many == even(8, shift=2.0, remember=0.1)
    other = planned(vars(parser().parse_args([*chosen, "--steps-shift", "1"])))
    assert other.many == even(8, shift=1.0, remember=0.1)
    assert (other.forcing, other.few) == (plan.forcing, plan.few)
    assert plan.few.shift == 2.0


def test_a_map_or_a_shift_that_there_is_not(tmp_path, capsys):
    small = ["train", "doom", "--out", str(tmp_path), "--held", "1", "--episodes", "1", "--processes", "1"]
    assert main([*small, "--maps", "MAP99"]) == 2
    assert "no map 'MAP99'" in capsys.readouterr().err
    assert main([*small, "--steps-shift", "0"]) == 2
    assert "with a shift above 0" in capsys.readouterr().err
