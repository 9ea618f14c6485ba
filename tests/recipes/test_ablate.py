"""Ablations trained for real, small: cached, resumable, equal budgets, and a table that does not overclaim."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from tests.data.made import folder
from tests.models.interp.toy import TOY
from tween.core import TweenError
from tween.data.triplets import read
from tween.evaluate import choose
from tween.models.interp.config import with_block
from tween.recipes import ablate as lab_module
from tween.recipes.ablate import Lab, Setting, ablate, cached, content, key, label, obstacle, results
from tween.recipes.ablate_rows import rows
from tween.recipes.feeds import clips
from tween.recipes.start import Source

SMALL = with_block(
    replace(TOY, stem_stride=4, depths=(1, 1, 1)), backbone="gated_attn_only"
)  # the quicker branch
SETTING = Setting(steps=2, batch_size=2, crop=64, precision="fp32")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("ablate"))


@pytest.fixture
def lab(place, tmp_path):
    def feed(row):
        return clips(
            **{k: place[k] for k in ("data", "packed", "photos")}, synthetic=row.synthetic, workers=1
        )

    return Lab(setting=SETTING, feed=feed, scenes=read(place["val"]), way=choose("triplets"), facts={"data": "made"},
               device="cpu", out=tmp_path / "out", runs=tmp_path / "runs")  # fmt: skip


def named(table, *names):
    found = {row.name: row for row in rows(table, SMALL)}
    return [found[name] for name in names]


def test_a_row_is_trained_once_and_read_after(lab, monkeypatch):
    asked = named("phase1", "exp1c-hybrid", "exp1f-se")
    first = [result for _, _, result in ablate(asked, [0, 1], lab)]
    assert [(r["row"], r["seed"], r["steps"]) for r in first] == [
        ("exp1c-hybrid", 0, 2), ("exp1f-se", 0, 2), ("exp1c-hybrid", 1, 2), ("exp1f-se", 1, 2)
    ]  # fmt: skip
    assert first[0]["psnr"] != first[2]["psnr"]  # seeds differ
    assert all(set(r["scenes"]) == {"scene"} and r["scenes"]["scene"]["psnr"] == r["psnr"] for r in first)
    assert len(results(lab.out)) == 4
    assert not list(lab.runs.glob("*"))  # a run under way is gone once its result is there
    monkeypatch.setattr(lab_module, "train", None)  # what is there is not trained again
    again = [result for _, _, result in ablate(asked, [0, 1], lab)]
    assert again == first


def test_a_row_that_another_process_is_at_is_left_to_it(lab, monkeypatch):
    asked = named("phase1", "exp1c-hybrid", "exp1f-se")
    taken = f"{label(asked[0], 0, lab)}.lock"
    hold = (
        "import sys; from pathlib import Path; from tween.recipes.ablate import claim\n"
        "with claim(Path(sys.argv[1])) as mine: print(mine, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(lab.runs / taken)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "True\n"
        monkeypatch.setattr(lab_module, "measured", lambda row, seed, lab: {"row": row.name})
        assert [result for *_, result in ablate(asked, [0], lab)] == [{"row": "exp1f-se"}]
        monkeypatch.setattr(lab_module.time, "sleep", lambda seconds: (other.kill(), other.wait()))
        waited = [result["row"] for *_, result in ablate(asked, [0], lab, wait=True)]
        assert waited == ["exp1c-hybrid", "exp1f-se"]
    assert [result["row"] for *_, result in ablate(asked, [0], lab)] == ["exp1c-hybrid", "exp1f-se"]


def test_no_row_uses_up_what_the_next_may_compile(lab, monkeypatch):
    compiled = torch.compile(lambda x, n: x + n, dynamic=False, backend="eager", fullgraph=True)

    def build(row, seed, lab, **_):
        compiled(torch.zeros(2), 0.5 + seed)  # fails when compiled more often than torch allows
        raise TweenError("compiled")

    monkeypatch.setattr(lab_module, "build", build)
    (row,) = named("phase1", "exp1f-se")
    assert {str(error) for *_, error in ablate([row], range(10), lab)} == {"compiled"}


def test_a_result_is_a_function_of_row_seed_and_setting(lab, tmp_path):
    row = named("phase1", "exp1f-se")
    (one,), (two,) = ([r for _, _, r in ablate(row, [3], replace(lab, out=tmp_path / n))] for n in "ab")
    assert one["scenes"] == two["scenes"]


def test_the_key_holds_what_matters_and_nothing_else(lab):
    base, other = named("phase1", "exp1c-hybrid", "exp1f-se")
    mine = key(base, 0, lab)
    assert mine == key(replace(base, name="x", about="y"), 0, replace(lab, out=lab.runs))
    changed = [
        key(base, 1, lab),
        key(other, 0, lab),
        key(replace(base, synthetic=1.0), 0, lab),
        key(replace(base, plan={"crop": 128}), 0, lab),
        key(base, 0, replace(lab, setting=replace(SETTING, steps=3))),
        key(base, 0, replace(lab, setting=replace(SETTING, lr=1e-3))),
        key(base, 0, replace(lab, facts={"data": "other"})),
        key(base, 0, replace(lab, vgg=torch.nn.Identity())),
    ]
    assert len({mine, *changed}) == 1 + len(changed)
    given = replace(base, teacher="given")
    assert key(given, 0, lab) != key(given, 0, replace(lab, teacher="one"))
    assert mine == key(base, 0, replace(lab, teacher="one"))  # who is not taught does not care


def test_without_vgg_the_rows_that_need_it_are_left_out_and_lap_ter_is_the_base(lab):
    base, b, c = named("phase1", "exp1c-hybrid", "exp1j-b-lap-vgg", "exp1j-c-lap-ter")
    assert "needs VGG-19's weights" in obstacle(b, lab)
    assert obstacle(b, replace(lab, vgg=torch.nn.Identity())) is None
    assert key(base, 0, lab) == key(c, 0, lab)
    ((_, _, error),) = ablate([b], [0], lab)
    assert isinstance(error, TweenError)
    assert results(lab.out) == []


def test_rows_without_their_teacher_are_left_out(lab):
    exact, dis, file, given = named(
        "phase2", *(f"exp2e-{name}" for name in ("exact", "dis", "file", "given"))
    )
    assert obstacle(exact, lab) is obstacle(dis, lab) is None
    assert "--triplets" in obstacle(file, lab)
    assert "--teacher" in obstacle(given, lab)
    assert obstacle(file, replace(lab, flow_files=True)) is obstacle(given, replace(lab, teacher="x")) is None


def test_rows_of_earlier_weights_are_measured_untrained(lab, tmp_path):
    (row,) = named("phase2", "exp2a-phase1")
    assert "--start" in obstacle(row, lab)
    from safetensors.torch import save_file

    from tween.models.interp.net import HybridNet

    torch.manual_seed(5)
    net = HybridNet(replace(SMALL, phase=1))
    weights = {f"weights/net.{k}": v.clone() for k, v in net.state_dict().items()}
    save_file(
        weights,
        tmp_path / "one.safetensors",
        {"tween": json.dumps({"kind": "lean", "step": 0, "config": {}})},
    )
    ((_, _, result),) = ablate([row], [0], replace(lab, start=(Source(tmp_path / "one.safetensors"),)))
    from tween.evaluate import middle_frames
    from tween.models.interp.hybrid_filler import HybridFiller

    assert result["steps"] == 0
    assert result["psnr"] == pytest.approx(
        middle_frames(HybridFiller(net), lab.scenes, lab.way).psnr, abs=1e-5
    )


@pytest.mark.parametrize("term", lab_module.LATER)
def test_a_term_that_came_later_changes_no_hash_until_it_counts(lab, monkeypatch, term):
    (row,) = named("phase1", "exp1f-se")
    counts = replace(
        row, weights=replace(row.weights, composite=replace(row.weights.composite, **{term: 0.1}))
    )
    today = key(row, 0, lab)
    assert key(counts, 0, lab) != today
    monkeypatch.setattr(lab_module, "LATER", ())
    assert key(row, 0, lab) != today  # the hash of then knew of no such term


def test_minutes_become_a_schedule_that_ends(lab, monkeypatch):
    monkeypatch.setattr(lab_module, "WARM", 1)
    monkeypatch.setattr(lab_module, "TIMED", 1)
    real, runs = lab_module.train, []

    def timed(run, until=None):
        runs.append((run.name, run.steps, until))
        return replace(real(run, until=until), samples_per_s=5.0)

    monkeypatch.setattr(lab_module, "train", timed)
    lab = replace(lab, setting=replace(SETTING, steps=None, minutes=0.02))
    ((row, _, result),) = ablate(named("phase1", "exp1f-se"), [0], lab)
    assert result["steps"] == 3  # 1.2 s of 5 samples, 2 in a step
    name = f"exp1f-se-s0-{key(row, 0, lab)}"
    assert runs == [(f"{name}-probe", 2, 1), (f"{name}-probe", 2, None), (name, 3, None)]
    assert key(row, 0, lab) != key(row, 0, replace(lab, setting=replace(SETTING, steps=None, minutes=0.03)))


def test_a_row_that_was_cut_short_goes_on(lab, monkeypatch):
    (row,) = named("phase1", "exp1f-se")
    lab = replace(lab, setting=replace(SETTING, steps=4))
    real = lab_module.train

    def cut(run):
        real(run, until=2)
        raise KeyboardInterrupt

    monkeypatch.setattr(lab_module, "train", cut)
    with pytest.raises(KeyboardInterrupt):
        list(ablate([row], [0], lab))
    done = []
    monkeypatch.setattr(lab_module, "train", lambda run: done.append(real(run)) or done[0])
    ((_, _, result),) = ablate([row], [0], lab)
    whole = replace(lab, out=lab.out / "whole", runs=lab.runs / "whole")
    monkeypatch.setattr(lab_module, "train", real)
    ((_, _, unbroken),) = ablate([row], [0], whole)
    assert result["scenes"] == unbroken["scenes"]


def test_a_sitting_begins_nothing_it_cannot_end(lab):
    lab = replace(lab, setting=replace(SETTING, steps=None, minutes=5.0))
    assert list(ablate(named("phase1", "exp1c-hybrid"), [0], lab, until=time.monotonic() + 60)) == []


def test_a_row_that_fails_does_not_stop_the_others(lab):
    bad, good = named("phase1", "exp1c-hybrid", "exp1f-se")
    bad = replace(bad, plan={"crop": 65})
    (_, _, error), (_, _, result) = ablate([bad, good], [0], lab)
    assert "multiples of 32" in str(error)
    assert cached(good, 0, lab) == result


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")]
)
def test_a_row_that_does_not_fit_does_not_stop_the_others(lab, monkeypatch, error):
    large, good = named("phase1", "exp1c-hybrid", "exp1f-se")
    train = lab_module.train

    def full(run):
        if run.name.startswith(large.name):
            raise error
        return train(run)

    monkeypatch.setattr(lab_module, "train", full)
    (_, _, told), (_, _, result) = ablate([large, good], [0], lab)
    assert "exp1c-hybrid should fit into the GPU's memory" in str(told)
    assert cached(good, 0, lab) == result


def test_another_error_of_a_row_is_a_bug(lab, monkeypatch):
    monkeypatch.setattr(lab_module, "train", lambda run: (_ for _ in ()).throw(RuntimeError("other")))
    with pytest.raises(RuntimeError, match="other"):
        list(ablate(named("phase1", "exp1c-hybrid"), [0], lab))


def test_a_budget_is_one_of_two():
    for wrong in ({}, {"steps": 2, "minutes": 1.0}, {"steps": 0, "minutes": None}, {"minutes": -1.0}):
        with pytest.raises(TweenError, match="budget"):
            Setting(**wrong)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(TweenError, match="can be read"):
        content(tmp_path / "none")
