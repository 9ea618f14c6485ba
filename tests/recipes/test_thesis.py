"""The three phases run, one from the other's weights, stop anywhere, and do what the plan says."""

from dataclasses import replace

import pytest
import torch

from tests.engine.test_loop import same
from tests.recipes.toy_feed import SMALL, feed, toy, triples
from tween.core import TweenError
from tween.data.triplets import Triplet
from tween.engine import checkpoint, train
from tween.engine.distributed import Ranks
from tween.engine.loop import begin, take_step
from tween.evaluate import choose, middle_frames
from tween.losses import CompositeWeights
from tween.models.interp.config import with_block
from tween.models.interp.hybrid_filler import HybridFiller
from tween.models.interp.thesis_task import ThesisWeights
from tween.recipes.plan import CURRICULUM, PLANS, VIMEO
from tween.recipes.thesis import middle_psnr

SHORT = replace(PLANS[3], crop=64, grow=CURRICULUM)


def grads(net):
    return {
        name: sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None)
        for name, part in net.named_children()
    }


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_three_steps_of_the_full_length(tmp_path, phase):
    plan = SHORT if phase == 3 else replace(PLANS[phase], crop=64)
    run = toy(tmp_path, phase=phase, plan=plan, batch=feed(samples=VIMEO), batch_size=1, precision="bf16")
    assert run.steps == plan.epochs * round(VIMEO * (1.5 if phase == 3 else 1))
    report = train(run, until=3)
    assert (report.step, report.finished, report.skipped) == (3, False, 0)
    assert (run.optim.lr, run.optim.min_lr, run.optim.warmup, run.optim.clip) == (
        plan.lr,
        plan.min_lr,
        2000,
        1.0,
    )
    assert run.task.freeze == (50 * VIMEO if phase == 2 else 0)
    assert run.save_interval == round(run.steps / plan.epochs)


def test_phases_follow_one_another_by_name(tmp_path, capsys):
    score = {"validate": lambda modules, step: {"psnr": float(-step)}}
    train(toy(tmp_path, name="one", steps=3, **score))
    capsys.readouterr()
    two = toy(tmp_path, name="two", phase=2, steps=4, freeze_backbone=200, start="one_best", **score)
    said = capsys.readouterr().out
    assert f"weights of {tmp_path / 'one' / 'best.safetensors'}: " in said
    best = checkpoint.weights(tmp_path / "one" / "best.safetensors")
    mine = two.task.modules["net"].state_dict()
    backbone = [name for name in mine if name.startswith("backbone.")]
    fit = [n for n, v in mine.items() if f"net.{n}" in best and best[f"net.{n}"].shape == v.shape]
    assert f"{len(fit)} loaded (" in said
    assert all(torch.equal(mine[name], best[f"net.{name}"]) for name in backbone)
    assert "new (" in said
    assert "flow.blocks" in said.partition(" new (")[2]
    assert "left over (refine." in said
    train(two)
    kept = two.task.modules["net"].state_dict()
    assert all(torch.equal(kept[name], best[f"net.{name}"]) for name in backbone)
    three = toy(tmp_path, name="three", phase=3, plan=SHORT, steps=6, start="two", **score)
    assert "0 new, 0 left over" in capsys.readouterr().out.splitlines()[-1]
    assert train(three).finished


def test_the_same_command_goes_on_with_its_own_weights(tmp_path):
    train(toy(tmp_path, name="one", steps=2))
    flags = {"name": "two", "phase": 2, "start": "one", "steps": 4, "freeze_backbone": 0}
    train(toy(tmp_path, **flags), until=2)
    train(toy(tmp_path, **flags))
    train(toy(tmp_path, **flags | {"name": "whole"}))
    same(tmp_path / "whole", tmp_path / "two")


@pytest.mark.parametrize(
    ("start", "said"),
    [("none_best", "none/best.safetensors is not there"), ("x.safetensors", "expected a checkpoint at x")],
)
def test_weights_that_are_not_there(tmp_path, start, said):
    with pytest.raises(TweenError, match=said):
        toy(tmp_path, start=start)


def test_weights_of_another_width(tmp_path):
    train(toy(tmp_path, name="one", steps=1))
    wide = replace(SMALL, width=32)
    carried = toy(tmp_path, name="two", config=wide, start="one")  # a few vectors fit by chance, and are told
    assert "loaded" in carried.about["begun from"]


def test_the_frozen_backbone_gets_no_gradient_no_moments_and_no_dropout(tmp_path):
    dropping = with_block(SMALL, drop_path=0.5)
    run = toy(
        tmp_path, phase=2, config=dropping, steps=8, plan=replace(PLANS[2], epochs=4, freeze=2, crop=64)
    )
    net = run.task.modules["net"]
    state = begin(run, False, Ranks())
    before = {name: p.clone() for name, p in net.backbone.named_parameters()}
    optimizer = state.optimizers["main"]
    for step in range(8):
        take_step(run, state, Ranks())
        gradient = grads(net)
        assert gradient["flow"] > 0
        assert gradient["context"] > 0
        assert net.flow.training
        frozen = step < 4
        assert net.backbone.training is not frozen
        if frozen:
            assert gradient["backbone"] == 0
            assert all(p.grad is None for p in net.backbone.parameters())
            assert not any(p in optimizer.state for p in net.backbone.parameters())
        else:
            assert gradient["backbone"] > 0
        moved = any(not torch.equal(p, before[name]) for name, p in net.backbone.named_parameters())
        assert moved is not frozen
    assert {int(optimizer.state[p]["step"]) for p in net.backbone.parameters()} == {4}
    assert {int(optimizer.state[p]["step"]) for p in net.flow.parameters()} == {8}


def test_what_was_frozen_warms_up_by_itself(tmp_path):
    plan = replace(PLANS[2], epochs=10, freeze=5, warmup=4, crop=64)
    run = toy(tmp_path, phase=2, plan=plan)
    state = begin(run, False, Ranks())
    seen = []
    for _ in range(26):
        take_step(run, state, Ranks())
        seen.append({group["begin"]: group["lr"] for group in state.optimizers["main"].param_groups})
    assert [r[20] / r[0] for r in seen[20:26]] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_decay_leaves_states_gains_and_biases_alone(tmp_path):
    run = toy(tmp_path, phase=2)
    names = {p: name for name, p in run.task.modules.named_parameters()}
    groups = run.optim.build(run.task.params()["main"]).param_groups
    decay = {names[p]: group["weight_decay"] for group in groups for p in group["params"]}
    assert set(decay) == set(names.values())
    free = {name for name, value in decay.items() if value == 0}
    assert {name.rpartition(".")[2] for name in decay} >= {"A_log", "D", "dt_bias"}
    assert all(name in free for name in decay if name.endswith(("A_log", ".D", "dt_bias", ".bias")))
    assert {decay[name] for name in decay.keys() - free} == {1e-4}


@pytest.mark.parametrize(
    "stop", [pytest.param(1, marks=pytest.mark.long), 3, pytest.param(5, marks=pytest.mark.long)]
)
def test_stop_and_resume_equals_no_stop(tmp_path, stop):
    """Across the unfreezing (step 3) with dropped paths, accumulation and an average of the weights."""
    plan = replace(PLANS[2], epochs=6, freeze=3, warmup=2, crop=64)
    dropping = with_block(SMALL, drop_path=0.3)
    fields = {"phase": 2, "plan": plan, "config": dropping, "batch": feed(samples=2), "batch_size": 1}
    fields |= {"grad_accum": 2, "ema": 0.9, "precision": "bf16"}
    assert toy(tmp_path, **fields).task.freeze == 3
    train(toy(tmp_path, name="whole", **fields))
    train(toy(tmp_path, name="parts", **fields), until=stop)
    train(toy(tmp_path, name="parts", **fields))
    same(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("stop", [2, 4])
def test_stop_and_resume_in_the_curriculum(tmp_path, stop):
    fields = {
        "phase": 3,
        "plan": replace(SHORT, ratio=(1, 1)),
        "steps": 6,
        "batch_size": 1,
        "precision": "fp32",
    }
    train(toy(tmp_path, name="whole", **fields))
    train(toy(tmp_path, name="parts", **fields), until=stop)
    train(toy(tmp_path, name="parts", **fields))
    same(tmp_path / "whole", tmp_path / "parts")


def test_crops_and_mix_reach_the_network(tmp_path):
    run = toy(tmp_path, phase=3, plan=SHORT, steps=18)
    sides = [run.batch(index).frames.shape[-1] for index in range(18)]
    assert sides == [64] * 8 + [96] + [64, 64, 96] + [64, 64, 128] * 2  # growth at steps 5.94 and 11.88


def test_every_loss_is_logged_by_name(tmp_path, capsys):
    train(toy(tmp_path, phase=2, steps=1))
    line = capsys.readouterr().out
    assert all(name in line for name in ("loss_lap", "loss_ter", "loss_flow_smooth", "loss_total"))


def test_a_loss_that_is_not_a_number_stops_with_its_batch(tmp_path):
    def poisoned(index):
        batch = triples(index)
        return batch if index != 2 else replace(batch, frames=batch.frames * torch.nan)

    run = replace(toy(tmp_path, name="bad", batch=poisoned, steps=6), log_interval=2)
    with pytest.raises(TweenError, match=r"step 2 had none \(loss_lap, loss_ter") as said:
        train(run)
    assert "\n" not in str(said.value)
    values, _ = checkpoint.read(tmp_path / "bad" / "not-finite-2.safetensors")
    assert values["batch.frames"].isnan().all()
    assert values["batch.t"].tolist() == [0.5, 0.5]
    assert train(run).finished


def test_a_checkpoint_of_another_phase_or_configuration_is_refused(tmp_path):
    train(toy(tmp_path, name="one", steps=1))
    with pytest.raises(TweenError, match=r"another configuration .phase was 1, now 2") as said:
        train(toy(tmp_path, name="one", phase=2, steps=1))
    assert "\n" not in str(said.value)
    with pytest.raises(TweenError, match=r"another configuration .block.scan was interleaved, now flip"):
        train(toy(tmp_path, name="one", config=with_block(SMALL, scan="flip"), steps=2))


def scene():
    frames = triples(5, 1).frames[0]

    class Held(Triplet):
        def load(self):
            return tuple(frames)

    return Held("held", None, None, None)


def test_validation_is_what_users_get(tmp_path):
    held = replace(feed(), scenes=[scene()])
    run = toy(tmp_path, name="v", batch=held, epochs=2, eval_interval=2)
    assert (run.eval_interval, run.save_interval) == (8, 4)
    report = train(run)
    filler = HybridFiller(run.task.modules["net"])
    expected = middle_frames(filler, [scene()], choose("triplets"))
    assert report.metrics == {"epoch": 2, "psnr": expected.psnr, "ssim": expected.ssim}
    assert report.best >= expected.psnr
    assert (tmp_path / "v" / "best.safetensors").exists()
    assert (tmp_path / "v" / "frames.png").exists()
    run.task.modules.train()
    middle_psnr(run.task.modules, 0, scenes=[scene()])
    assert run.task.modules["net"].training


def test_a_run_is_a_function_of_its_arguments(tmp_path):
    one, two, other = (toy(tmp_path, seed=s).task.modules.state_dict() for s in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_term_that_is_left_out_is_told(tmp_path):
    """Its weight stands in the report, whether it counts or not."""
    assert toy(tmp_path).about["perceptual term"] == "left out: no VGG-19 weights"
    without = ThesisWeights(composite=CompositeWeights(vgg=0))
    assert "perceptual term" not in toy(tmp_path, weights=without).about


def test_its_own_numbers_instead_of_the_plans(tmp_path):
    run = toy(tmp_path, phase=2, lr=3e-4, epochs=10, freeze_backbone=1, grad_accum=2)
    assert (run.optim.lr, run.optim.min_lr) == (3e-4, pytest.approx(3e-5))
    assert (run.steps, run.task.freeze, run.accumulate) == (20, 2, 2)


def test_a_short_run_is_looked_at_ten_times(tmp_path):
    run = toy(tmp_path, batch=feed(samples=VIMEO), steps=100)
    assert (run.eval_interval, run.save_interval) == (10, 10)
    assert toy(tmp_path, steps=100).save_interval == 4  # an epoch


def test_there_are_three_phases(tmp_path):
    with pytest.raises(TweenError, match="phase should be 1, 2 or 3"):
        toy(tmp_path, phase=4)
