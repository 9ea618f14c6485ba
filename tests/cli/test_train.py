"""`tween train`: from a folder of clips to a checkpoint, stopped and resumed by the same command."""

import json

import pytest
import torch

from tests.data.made import folder
from tests.engine.toy import toy_run
from tests.models.interp.toy import TOY_FAST, TOY_QUALITY, fast_net
from tween import engine
from tween.cli.main import main
from tween.cli.train import ended
from tween.engine.checkpoint import read, weights, write
from tween.models.interp import fast, quality
from tween.recipes import interp


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("data"))


class Small(fast.FastNet):
    """The network that the recipe builds, in a toy's widths."""

    def __init__(self, config):
        assert config is None
        super().__init__(TOY_FAST)


class SmallQuality(quality.QualityNet):
    """Likewise."""

    def __init__(self, config):
        assert config is None
        super().__init__(TOY_QUALITY)


@pytest.fixture
def train(data, tmp_path, monkeypatch):
    """Runs the command with a small network in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(interp, "FastNet", Small)
    monkeypatch.setattr(interp, "QualityNet", SmallQuality)
    monkeypatch.setattr(interp, "released", {"fast": fast_net().state_dict()}.__getitem__)
    where = [f"--{name}={data[name]}" for name in ("data", "packed")]
    small = ["--device", "cpu", "--batch-size", "2", "--crop", "64", "64", "--workers", "1", "--no-compile"]

    def run(*flags, recipe="fast"):
        return main(["train", recipe, *where, *small, *map(str, flags)])

    return run


def test_stopped_and_resumed_is_as_if_never_stopped(train, tmp_path, capsys):
    assert train("--name", "parts", "--steps", 3, "--minutes", 0) == 0
    assert "stopped; the same command goes on at step 1" in capsys.readouterr().out
    assert train("--name", "parts", "--steps", 3) == 0
    assert "finished at step 3" in capsys.readouterr().out
    assert train("--name", "whole", "--steps", 3) == 0
    parts, whole = (read(tmp_path / "runs" / name / "last.safetensors") for name in ("parts", "whole"))
    assert parts[1]["step"] == whole[1]["step"] == 3
    assert [k for k in whole[0] if not torch.equal(parts[0][k], whole[0][k])] == []


def test_validation_and_photos(train, data, tmp_path):
    assert train("--name", "v", "--steps", 1, "--val", data["val"], "--photos", data["photos"]) == 0
    log = [json.loads(line) for line in (tmp_path / "runs" / "v" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["psnr"] > 10
    fast.FastNet(TOY_FAST).load_state_dict(
        {
            k.removeprefix("net."): v
            for k, v in weights(tmp_path / "runs/v/best.safetensors").items()
            if k.startswith("net.")
        }
    )


def test_quality_of_so_many_steps_begins_from_fast(train, tmp_path, capsys):
    assert train("--steps", 1, "--lr", 1e-6, recipe="quality") == 0
    assert "finished at step 1" in capsys.readouterr().out
    found = weights(tmp_path / "runs" / "quality" / "last.safetensors")
    for name, value in fast_net().state_dict().items():
        torch.testing.assert_close(found[f"net.fast.{name}"], value, atol=1e-5, rtol=0.0)


def test_quality_of_so_many_minutes_ends_its_schedule_with_them(train, tmp_path, capsys):
    assert train("--minutes", 0.02, recipe="quality") == 0
    assert "finished at step" in capsys.readouterr().out
    header = read(tmp_path / "runs" / "quality" / "last.safetensors")[1]
    assert header["step"] == header["config"]["steps"]


def test_quality_needs_steps_or_minutes(train, capsys):
    assert train(recipe="quality") == 2
    assert "--minutes 10" in capsys.readouterr().err


def test_resume_from_a_checkpoint_of_another_run(train, tmp_path, capsys):
    assert train("--name", "a", "--steps", 1) == 0
    assert train("--name", "b", "--steps", 2, "--resume", tmp_path / "runs/a/last.safetensors") == 0
    assert read(tmp_path / "runs/b/last.safetensors")[1]["step"] == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--resume", "gone.safetensors"], "expected a checkpoint at gone.safetensors"),
        (["--data", "."], "should hold videos, but has none"),
        (["--steps", "0"], "steps should be at least 1"),
        (["--val", "."], "im1, im2 and im3"),
        (["--batch-size", "0"], "batch_size should be at least 1"),
        (["--device", "moon"], "moon"),
        (["--crop", "16", "16"], "crop"),
        (["--crop", "64", "64", "64"], "one for each"),
        (["--shrink", "0.5"], "shrink should be 1 or more"),
        (["--synthetic", "2"], "synthetic"),
    ],
)
def test_mistakes_are_one_line(train, capsys, flags, said):
    assert train(*flags) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_an_unknown_recipe_is_exit_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "slow", "--data", ".", "--packed", "."])
    assert stop.value.code == 2


def test_how_a_run_ended_is_one_line(tmp_path):
    judged = {"validate": lambda modules, step: {"score": 0.5}, "best_key": "score", "eval_interval": 12}
    assert "samples/s, score 0.5, best 0.5; " in ended(engine.train(toy_run(tmp_path, **judged)))
    done = "finished at step 12, {}, best 0.5; " + str(tmp_path)
    assert ended(engine.train(toy_run(tmp_path, **judged))) == done.format("nothing was left to do")
    values, head = read(tmp_path / "last.safetensors")
    write(tmp_path / "last.safetensors", values, head | {"owed": True})  # killed within its last validation
    assert ended(engine.train(toy_run(tmp_path, **judged))) == done.format("score 0.5")
