"""The loop learns, resumes as if it had never stopped, and lets a turn touch only what it owns."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from tests.engine.toy import Toy, batch, toy_run
from tween.core import TweenError
from tween.engine import Optim, checkpoint, train
from tween.engine.checkpoint import read
from tween.engine.distributed import Ranks
from tween.engine.loop import begin, take_step


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def same(a, b):
    (left, head), (right, other) = read(a / "last.safetensors"), read(b / "last.safetensors")
    head["config"] = other["config"] = None
    assert head == other
    assert left.keys() == right.keys()
    assert [k for k in left if not torch.equal(left[k], right[k])] == []


def test_loss_falls(tmp_path):
    report = train(toy_run(tmp_path, steps=300, log_interval=50))
    log = lines(tmp_path)
    assert report.finished
    assert report.step == 300
    assert log[-1]["near"] < 0.1 * log[0]["near"]
    assert report.samples_per_s > 0


@pytest.mark.parametrize("stop", [1, 4, 5, 11])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_stop_and_resume_equals_no_stop(tmp_path, stop, accumulate):
    class StopError(Exception):
        pass

    def failing(index):
        if index >= stop * accumulate:
            raise StopError
        return batch(index)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    changes = {"save_interval": 1, "accumulate": accumulate}
    train(toy_run(whole, **changes))
    with pytest.raises(StopError):
        train(toy_run(parts, batch=failing, **changes))
    assert read(parts / "last.safetensors")[1]["step"] == stop
    train(toy_run(parts, **changes))
    same(whole, parts)
    assert [line["step"] for line in lines(parts)] == [5, 10, 12]


def test_validation_changes_nothing_but_best(tmp_path):
    seen = []

    def validate(modules, step):
        torch.randn(7)
        seen.append((step, modules.training, modules["a"].weight.clone()))
        return {"score": float(-abs(step - 8))}

    plain, watched = tmp_path / "plain", tmp_path / "watched"
    train(toy_run(plain))
    run = toy_run(watched, validate=validate, best_key="score", eval_interval=4)
    report = train(run)
    left, right = read(plain / "last.safetensors")[0], read(watched / "last.safetensors")[0]
    assert all(torch.equal(left[k], right[k]) for k in left)
    assert [s for s, *_ in seen] == [4, 8, 12]
    assert report.best == 0
    assert report.metrics == {"score": -4.0}
    best = checkpoint.weights(watched / "best.safetensors")
    assert torch.equal(best["a.weight"], seen[1][2])
    assert not seen[1][1]
    assert run.task.modules.training


class KilledError(Exception):
    """Nothing is done behind it, as behind kill -9."""


def judged(seen, killed=None):
    """A run's validation, whose best is at step 8; `seen` gets each step and its weights."""

    def validate(modules, step):
        seen.append((step, modules["a"].weight.clone()))
        if step == killed:
            raise KilledError
        return {"score": float(-abs(step - 8))}

    return {"validate": validate, "best_key": "score", "eval_interval": 4}


@pytest.mark.parametrize(("killed", "best"), [(4, None), (8, -4.0), (12, 0.0)])
@pytest.mark.parametrize("save_interval", [4, 8])
def test_a_run_killed_within_a_validation_begins_with_it(tmp_path, killed, best, save_interval):
    whole, parts, straight, seen = tmp_path / "whole", tmp_path / "parts", [], []
    unbroken = train(toy_run(whole, **judged(straight), save_interval=save_interval))
    with pytest.raises(KilledError):
        train(toy_run(parts, **judged(seen, killed), save_interval=save_interval))
    if killed % save_interval == 0 or killed == 12:
        head = checkpoint.header(parts / "last.safetensors")
        assert (head["step"], head["best"], head["owed"]) == (killed, best, True)
    report = train(toy_run(parts, **judged(seen), save_interval=save_interval))
    same(whole, parts)
    assert (report.best, report.metrics, report.finished) == (0, unbroken.metrics, True)
    assert [step for step, _ in seen] == sorted([4, 8, 12, killed])
    weights = dict(straight)
    assert all(torch.equal(weight, weights[step]) for step, weight in seen)
    assert [line["step"] for line in lines(parts) if "score" in line] == [4, 8, 12]
    left, right = (checkpoint.weights(folder / "best.safetensors") for folder in (whole, parts))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_what_is_validated_is_not_validated_again_nor_where_a_checkpoint_does_not_say(tmp_path):
    seen, last = [], tmp_path / "last.safetensors"
    train(toy_run(tmp_path, **judged(seen)))
    train(toy_run(tmp_path, **judged(seen)))
    values, head = read(last)
    del head["owed"]  # as it was written before there was such a field
    checkpoint.write(last, values, head)
    assert train(toy_run(tmp_path, **judged(seen))).best == 0
    assert [step for step, _ in seen] == [4, 8, 12]


def test_unknown_best_key(tmp_path):
    run = toy_run(tmp_path, validate=lambda m, s: {"psnr": 1.0}, best_key="ssim")
    with pytest.raises(TweenError, match="ssim"):
        train(run)


def test_a_turn_changes_only_its_own(tmp_path):
    class Spy(Toy):
        def loss(self, turn, batch, step):
            other = {"a": "b", "b": "a"}[turn]
            assert not any(p.requires_grad for p in self.modules[other].parameters())
            if turn == "b":  # a has had its turn: it must have moved, and b not yet
                assert not torch.equal(self.modules["a"].weight, self.start["a.weight"])
                assert torch.equal(self.modules["b"].weight, self.start["b.weight"])
            return super().loss(turn, batch, step)

    task = Spy(two=True)
    task.start = {k: v.clone() for k, v in task.modules.state_dict().items()}
    train(toy_run(tmp_path, task=task, steps=1))
    assert not torch.equal(task.modules["b"].weight, task.start["b.weight"])
    assert all(p.requires_grad for p in task.modules.parameters())
    assert task.after == [(0, ("a", "b"))]
    assert {"a/near", "b/near", "a/norm", "b/skipped"} <= lines(tmp_path)[0].keys()


def test_what_the_task_froze_stays(tmp_path):
    task = Toy()
    task.modules["a"].requires_grad_(False)
    before = task.modules["a"].weight.clone()
    train(toy_run(tmp_path, task=task))
    assert torch.equal(task.modules["a"].weight, before)
    assert not task.modules["a"].weight.requires_grad


def test_accumulated_halves_equal_the_whole(tmp_path):
    class Quiet(Toy):
        def loss(self, turn, batch, step):
            out = self.modules["b"](self.modules["a"](batch).relu())
            return {"near": (out**2).mean()}

    two = toy_run(tmp_path / "two", task=Quiet(), accumulate=2)
    one = toy_run(
        tmp_path / "one", task=Quiet(), batch=lambda i: torch.cat([batch(2 * i), batch(2 * i + 1)]), steps=12
    )
    train(two)
    train(one)
    torch.testing.assert_close(two.task.modules.state_dict(), one.task.modules.state_dict())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_step_that_is_not_finite_changes_nothing(tmp_path, bad):
    def poisoned(index):
        return batch(index) * (bad if index == 3 else 1)

    left, right = toy_run(tmp_path / "three", steps=3), toy_run(tmp_path / "four", steps=4, batch=poisoned)
    train(left)
    report = train(right)
    three, four = (read(r.folder / "last.safetensors")[0] for r in (left, right))
    assert report.skipped == 1
    assert lines(right.folder)[-1]["skipped"] == 1
    assert all(torch.equal(three[k], four[k]) for k in three if not k.startswith("ema"))
    assert all(v.isfinite().all() for v in four.values())


def test_a_run_that_is_never_finite_says_so(tmp_path):
    run = toy_run(tmp_path, batch=lambda i: batch(i) * math.nan, steps=100, log_interval=25)
    with pytest.raises(TweenError, match="finite"):
        train(run)


def test_minutes_stop_saved(tmp_path):
    report = train(toy_run(tmp_path, minutes=0))
    assert (report.step, report.finished) == (1, False)
    assert train(toy_run(tmp_path)).finished
    assert train(toy_run(tmp_path)).step == 12  # nothing left to do


def test_bf16_runs_the_loss_under_autocast(tmp_path):
    class Look(Toy):
        def loss(self, turn, batch, step):
            assert self.modules["a"](batch).dtype == torch.bfloat16
            return super().loss(turn, batch, step)

    train(toy_run(tmp_path, task=Look(), precision="bf16", steps=2))


def test_a_parameter_outside_the_modules_is_refused(tmp_path):
    task = Toy()
    stray = torch.nn.Parameter(torch.zeros(3))
    task.params = lambda: {"main": [{"params": [*task.modules.parameters(), stray]}]}
    with pytest.raises(TweenError, match=r"task\.modules"):
        train(toy_run(tmp_path, task=task))


def test_a_run_that_makes_no_sense():
    with pytest.raises(TweenError, match="ema"):
        toy_run(Path(), ema=1.0)
    with pytest.raises(TweenError, match="precision"):
        toy_run(Path(), precision="fp8")
    with pytest.raises(TweenError, match="steps"):
        toy_run(Path(), steps=0)


def test_a_log_cut_short_is_mended(tmp_path):
    train(toy_run(tmp_path))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 13, "lo')
    train(toy_run(tmp_path, steps=15))
    assert [line["step"] for line in lines(tmp_path)] == [5, 10, 12, 15]


def test_tensorboard_when_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TweenError, match=r"tween-video\[train\]"):
        train(toy_run(tmp_path, tensorboard=True))


def test_what_is_logged_to_tensorboard(tmp_path, monkeypatch):
    seen = []
    board = SimpleNamespace(add_scalar=lambda key, value, step: seen.append((key, step)), flush=lambda: None)
    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=lambda f: board)
    )
    train(toy_run(tmp_path, tensorboard=True))
    assert {("near", 5), ("lr", 10), ("samples_per_s", 12)} <= set(seen)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_never_reads_from_the_device(tmp_path, precision):
    class NoRead(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            assert function is not torch.ops.aten._local_scalar_dense.default
            return function(*args, **(kwargs or {}))

    run = toy_run(tmp_path, task=Toy(two=True), precision=precision, accumulate=2)
    state = begin(run, False, Ranks())
    with NoRead():
        take_step(run, state, Ranks())
    with pytest.raises(AssertionError), NoRead():
        torch.ones(()).item()


def test_the_first_of_many_broken_steps_is_saved_with_its_batch(tmp_path):
    def poisoned(index):
        return batch(index) * (math.nan if 6 <= index < 9 else 1)

    run = toy_run(tmp_path, batch=poisoned, patience=3, log_interval=2, steps=20)
    with pytest.raises(TweenError, match=r"step 6 had none \(near, far, loss_total") as said:
        train(run)
    assert str(said.value).count(".safetensors") == 1
    values, head = read(tmp_path / "not-finite-6.safetensors")
    assert head == {"format": 1, "kind": "batch", "step": 6, "index": 6}
    assert values["batch"].isnan().all()
    kept, head = read(tmp_path / "last.safetensors")
    assert head["step"] == 10  # the log that follows step 8
    assert all(value.isfinite().all() for value in kept.values())
    assert train(run).finished  # behind it, and nothing of it is left
    assert read(tmp_path / "last.safetensors")[1]["step"] == 20


@pytest.mark.parametrize(("patience", "stops"), [(1, True), (2, False)])
def test_patience_counts_steps_on_end(tmp_path, patience, stops):
    def poisoned(index):
        return batch(index) * (math.nan if index in (3, 5) else 1)

    run = toy_run(tmp_path, batch=poisoned, patience=patience)
    if not stops:
        assert train(run).skipped == 2
        return
    with pytest.raises(TweenError, match="step 3 had none"):
        train(run)


class Late(Toy):
    """Its first layer learns from step 4 on."""

    def params(self):
        a, b = (list(self.modules[name].parameters()) for name in "ab")
        return {"main": [{"params": a, "begin": 4}, {"params": b}]}


def test_what_begins_later_has_no_gradient_before_and_a_warmup_of_its_own(tmp_path):
    task = Late()
    run = toy_run(tmp_path, task=task)
    state = begin(run, False, Ranks())
    before, optimizer = task.modules["a"].weight.clone(), state.optimizers["main"]
    for step in range(12):
        take_step(run, state, Ranks())
        rates = {group["begin"]: group["lr"] for group in optimizer.param_groups}
        moved = not torch.equal(task.modules["a"].weight, before)
        assert moved == (task.modules["a"].weight.grad is not None) == (step >= 4)
        assert (task.modules["a"].weight in optimizer.state) == (step >= 4)
        if step >= 4:  # three steps of warm-up
            assert rates[4] == pytest.approx(rates[0] * min(1, (step - 3) / 3))
    assert optimizer.state[task.modules["a"].weight]["step"] == 8  # fresh moments


@pytest.mark.parametrize("stop", [3, 4, 5])
def test_stop_and_resume_around_a_late_beginning(tmp_path, stop):
    train(toy_run(tmp_path / "whole", task=Late()))
    train(toy_run(tmp_path / "parts", task=Late()), until=stop)
    train(toy_run(tmp_path / "parts", task=Late()))
    same(tmp_path / "whole", tmp_path / "parts")


def test_until_stops_saved(tmp_path):
    report = train(toy_run(tmp_path), until=5)
    assert (report.step, report.finished) == (5, False)
    assert read(tmp_path / "last.safetensors")[1]["step"] == 5


@dataclass(frozen=True, kw_only=True)
class Config:
    scan: str = "interleaved"


def configured(**fields):
    task = Toy()
    task.modules["a"].config = Config(**fields)
    return task


def test_a_checkpoint_of_another_configuration_is_refused_although_its_tensors_fit(tmp_path):
    train(toy_run(tmp_path, task=configured()), until=2)
    with pytest.raises(TweenError, match=r"another configuration .scan was interleaved, now flip"):
        train(toy_run(tmp_path, task=configured(scan="flip")))
    assert train(toy_run(tmp_path, task=configured())).finished


def test_what_else_changed_is_said(tmp_path, capsys):
    train(toy_run(tmp_path), until=2)
    train(toy_run(tmp_path), until=3)
    assert "otherwise" not in capsys.readouterr().out
    train(toy_run(tmp_path, optim=Optim(lr=2e-2, min_lr=1e-3, warmup=3, rewarm=4), steps=9))
    said = capsys.readouterr().out
    assert "goes on otherwise than it was trained: optim.lr was 0.01, now 0.02, steps was 12, now 9" in said


def test_pictures_are_drawn_where_it_validates(tmp_path, monkeypatch):
    seen = []
    board = SimpleNamespace(
        add_scalar=lambda *a: None,
        add_image=lambda name, x, step: seen.append((name, x.dtype, step)),
        flush=lambda: None,
    )
    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=lambda f: board)
    )

    def pictures(modules, step):
        assert not modules.training
        return {"ramp": torch.linspace(-0.5, 1.5, 5).expand(3, 4, 5) * (step == 12)}

    train(toy_run(tmp_path, pictures=pictures, eval_interval=6, tensorboard=True))
    assert seen == [("ramp", torch.uint8, 6), ("ramp", torch.uint8, 12)]
    with Image.open(tmp_path / "ramp.png") as shown:  # the latest
        assert (shown.size, [shown.getpixel((x, 0))[0] for x in range(5)]) == ((5, 4), [0, 0, 128, 255, 255])


def test_tensorboard_has_the_last_validation_when_a_run_ends(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pictures = {"ramp": torch.linspace(0, 1, 5).expand(3, 4, 5)}
    train(
        toy_run(tmp_path, pictures=lambda *_: pictures, validate=lambda *_: {"psnr": 3.0}, tensorboard=True)
    )
    (file,) = tmp_path.glob("events.out.tfevents.*")
    shown = events.EventAccumulator(str(file)).Reload()
    assert [event.step for event in shown.Scalars("psnr")][-1] == 12
    assert [event.step for event in shown.Images("ramp")][-1] == 12
    assert shown.Scalars("loss/loss_total")[-1].step == 12
