"""Checkpoints: whole or not there, nothing but tensors and JSON, lean ones to carry."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from tests.engine.toy import Toy, toy_run
from tween.core import TweenError
from tween.engine import Optim, checkpoint, train


def test_a_full_checkpoint_is_tensors_and_json(tmp_path):
    run = toy_run(tmp_path)
    train(run)
    with safe_open(tmp_path / "last.safetensors", "pt") as file:
        head = json.loads(file.metadata()["tween"])
        names = set(file.keys())
    assert (head["kind"], head["step"], head["fresh"]) == ("full", 12, 0)
    assert head["config"]["optim"]["lr"] == 1e-2
    assert {"weights/a.bias", "ema/a.bias", "optim/main/a.bias/exp_avg", "optim/main/a.bias/step"} <= names
    assert list(tmp_path.glob("*.part")) == list(tmp_path.glob(".*")) == []
    assert json.loads((tmp_path / "run.json").read_text())["torch"] == torch.__version__


def test_lean_holds_the_average_in_half_precision_and_resumes(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    train(toy_run(here, steps=20))
    there.mkdir()
    checkpoint.lean(here / "last.safetensors", there / "last.safetensors")
    values, head = checkpoint.read(there / "last.safetensors")
    full = checkpoint.read(here / "last.safetensors")[0]
    assert head["step"] == 20
    assert {v.dtype for v in values.values()} == {torch.float16}
    assert torch.equal(values["weights/a.weight"], full["ema/a.weight"].half())
    run = toy_run(there, steps=30, log_interval=1)
    report = train(run)
    assert report.step == 30
    assert checkpoint.read(there / "last.safetensors")[1]["fresh"] == 20
    rates = [json.loads(line)["lr"] for line in (there / "log.jsonl").read_text().splitlines()]
    wanted = [run.optim.rate(step, 30, 0) for step in range(20, 30)]
    assert [r / w for r, w in zip(rates, wanted, strict=True)] == pytest.approx([0.25, 0.5, 0.75] + [1] * 7)


def test_a_lean_start_then_a_stop_equals_no_stop(tmp_path):
    train(toy_run(tmp_path / "first", steps=20))
    for name in ("whole", "parts"):
        checkpoint.lean(tmp_path / "first/last.safetensors", tmp_path / name / "last.safetensors")
    train(toy_run(tmp_path / "whole", steps=26))
    for _ in range(6):
        train(toy_run(tmp_path / "parts", steps=26, minutes=0))
    whole, parts = (checkpoint.read(tmp_path / n / "last.safetensors")[0] for n in ("whole", "parts"))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


def test_start_from_a_path_and_start_anew(tmp_path):
    train(toy_run(tmp_path / "a"))
    report = train(toy_run(tmp_path / "b", steps=13), resume=tmp_path / "a/last.safetensors")
    assert report.step == 13
    train(toy_run(tmp_path / "b", steps=3), resume=False)
    assert checkpoint.read(tmp_path / "b/last.safetensors")[1]["step"] == 3
    with pytest.raises(TweenError, match="nowhere"):
        train(toy_run(tmp_path / "c"), resume=tmp_path / "nowhere.safetensors")


def test_the_weights_of_a_checkpoint_load_into_a_network(tmp_path):
    train(toy_run(tmp_path))
    fresh = Toy().modules
    fresh.load_state_dict(checkpoint.weights(tmp_path / "last.safetensors"))
    assert torch.equal(fresh["a"].weight, checkpoint.read(tmp_path / "last.safetensors")[0]["ema/a.weight"])


def test_a_compiled_module_keeps_its_names(tmp_path):
    train(toy_run(tmp_path))
    task = Toy()
    task.modules["a"] = torch.compile(task.modules["a"], backend="eager")
    assert train(toy_run(tmp_path, task=task, steps=14)).step == 14


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    train(toy_run(tmp_path))
    task = Toy()
    task.modules["b"] = nn.Linear(8, 5)
    with pytest.raises(TweenError, match="another network"):
        train(toy_run(tmp_path, task=task))


def test_another_form_of_file_is_refused_and_one_from_before_forms_were_counted_is_read(tmp_path):
    train(toy_run(tmp_path))
    values, head = checkpoint.read(tmp_path / "last.safetensors")
    assert head.pop("format") == checkpoint.FORMAT
    save_file(values, tmp_path / "last.safetensors", {"tween": json.dumps(head)})
    assert train(toy_run(tmp_path, steps=14)).step == 14
    checkpoint.write(tmp_path / "last.safetensors", values, head | {"format": 99})
    with pytest.raises(
        TweenError, match=r"expected a checkpoint of format 1 at .* but it is of format 99; read it"
    ):
        train(toy_run(tmp_path, steps=16))


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (None, "it is none of tween's;"),
        ({"kind": "batch", "step": 3}, "it is a batch;"),
    ],
)
def test_a_file_of_tensors_that_is_no_checkpoint_is_refused(tmp_path, head, said):
    path = tmp_path / "last.safetensors"
    save_file({"frames": torch.zeros(2)}, path, None if head is None else {"tween": json.dumps(head)})
    with pytest.raises(TweenError, match=f"expected a checkpoint at .*, but {said}"):
        train(toy_run(tmp_path))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x08" + bytes(30)])
def test_a_broken_file_is_refused(tmp_path, content):
    (tmp_path / "last.safetensors").write_bytes(content)
    with pytest.raises(TweenError, match="expected a checkpoint"):
        train(toy_run(tmp_path))


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    run = toy_run(tmp_path)
    train(run)
    before = (tmp_path / "last.safetensors").read_bytes()

    def full(values, path, metadata):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TweenError, match="no space"):
        train(toy_run(tmp_path, steps=14))
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "last.safetensors",
        "log.jsonl",
        "report.md",
        "run.json",
    ]


def test_channels_last_parameters_resume(tmp_path):
    class Conv(Toy):
        def __init__(self):
            super().__init__()
            net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
            self.modules = nn.ModuleDict({"net": net})

        def loss(self, turn, batch, step):
            return {"far": (self.modules["net"](batch.view(1, 3, 3, -1)[..., :5]) - 1).square().mean()}

    def picture(index):
        return torch.randn(45, generator=torch.Generator().manual_seed(index))

    for name, sittings in (("whole", 1), ("parts", 4)):
        for _ in range(sittings):
            minutes = None if sittings == 1 else 0
            run = toy_run(tmp_path / name, task=Conv(), batch=picture, steps=4, minutes=minutes)
            train(run)
        assert run.task.modules["net"].weight.is_contiguous(memory_format=torch.channels_last)
    whole, parts = (checkpoint.read(tmp_path / n / "last.safetensors")[0] for n in ("whole", "parts"))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


def test_groups_with_a_rate_of_their_own_survive(tmp_path):
    class Slow(Toy):
        def params(self):
            a, b = self.modules.values()
            return {"main": [{"params": list(a.parameters()), "lr": 1e-3}, {"params": list(b.parameters())}]}

        def after_step(self, step, optimizers):
            self.rates = {group["lr"] for group in optimizers["main"].param_groups}

    task = Slow()
    train(toy_run(tmp_path, task=task, steps=8, optim=Optim(lr=1e-2, min_lr=1e-2, warmup=0)))
    assert sorted(task.rates) == pytest.approx([1e-3, 1e-2])
