"""The recipes of `fast` and `quality` train on a CPU from a folder of clips, and validate with what users run."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.data.layouts import two_shots
from tests.data.made import folder, picture
from tests.models.interp.toy import TOY_FAST, TOY_QUALITY, fast_net
from tween.core import TweenError
from tween.data.store import sample
from tween.data.triplets import read
from tween.engine import checkpoint, train
from tween.evaluate import choose, middle_frames
from tween.evaluate.models import ready
from tween.models.interp.filler import InterpFiller
from tween.recipes.interp import fast, load, photographs, quality, validate
from tween.zoo.load import released

CPU = torch.device("cpu")
QUICK = {"device": "cpu", "steps": 3, "batch_size": 3, "crop": (64, 64), "workers": 1, "compiled": False}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return replace(fast(**data, **QUICK, config=TOY_FAST), runs=runs, eval_interval=1, log_interval=1)


def test_three_steps(run):
    report = train(run)
    assert (report.step, report.finished, report.skipped) == (3, True, 0)
    assert 10 < report.metrics["psnr"] < 60
    assert report.best >= report.metrics["psnr"]
    assert {p.name for p in run.folder.iterdir()} >= {"last.safetensors", "best.safetensors", "log.jsonl"}


def test_three_steps_of_quality(data, tmp_path):
    run = quality(**data, **QUICK, config=TOY_QUALITY, start=None)
    assert run.optim.warmup == 1
    report = train(replace(run, runs=tmp_path, log_interval=1))
    assert (report.step, report.finished, report.skipped) == (3, True, 0)
    assert report.best >= report.metrics["psnr"] > 10
    again = ready(str(report.folder / "best.safetensors"), device="cpu")
    assert again.net.config == TOY_QUALITY


def test_clips_without_a_list_of_cuts_get_one(tmp_path):
    two_shots(tmp_path / "clips" / "a.mp4")
    given = {"photos": None, "device": CPU, "pixels": 24.0, "workers": 1}
    _, windows = load(tmp_path / "clips", tmp_path / "packed", **given)
    assert windows.first.tolist() == [0, 20]
    assert windows.count.tolist() == [20, 16]
    listed = (tmp_path / "clips" / "shots.csv").read_text().splitlines()
    assert [row.split(",")[:4] for row in listed[1:]] == [
        ["a.mp4", "0", "0", "20"],
        ["a.mp4", "1", "20", "36"],
    ]


def test_photos_of_any_kind_and_none_at_all(tmp_path):
    for name in ("a.PNG", "b.jpeg", "notes.csv"):
        (tmp_path / name).touch()
    assert [p.name for p in photographs(tmp_path)] == ["a.PNG", "b.jpeg"]
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none"):
        with pytest.raises(TweenError, match="--photos should be a folder of pictures"):
            photographs(tmp_path / name)


def test_quality_begins_from_released_weights_of_fast(data):
    run = quality(**data | {"val": None}, **QUICK)
    net = run.task.modules["net"]
    assert all(torch.equal(net.fast.state_dict()[n], v.float()) for n, v in released("fast").items())
    assert not net.refine.head.weight.any()
    learning = {p for group in run.task.params()["main"] for p in group["params"]}
    assert learning == set(run.task.modules.parameters()) - set(net.fast.parameters())
    both = quality(**data | {"val": None}, **QUICK, inner=0.1).task
    assert {group.get("lr", run.optim.lr) for group in both.params()["main"]} == {
        run.optim.lr,
        0.1 * run.optim.lr,
    }
    assert set(both.modules.parameters()) == {p for group in both.params()["main"] for p in group["params"]}


def test_a_fast_that_is_frozen_stays_as_it_was(data, tmp_path):
    run = replace(quality(**data, **QUICK, config=TOY_QUALITY, start=None), runs=tmp_path)
    net = run.task.modules["net"]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    train(run)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("fast.") for name in changed)
    assert {"refine.head.weight"} <= changed


def test_fast_learns_from_its_own_mean_over_flips(data, tmp_path):
    run = replace(
        fast(**data | {"val": None}, **QUICK, start="fast", flips=1.0), runs=tmp_path, log_interval=1
    )
    before = {name: value.clone() for name, value in run.task.tutor.state_dict().items()}
    report = train(run)
    lines = [json.loads(line) for line in (report.folder / "log.jsonl").read_text().splitlines()]
    assert all(line["flips"] > 0 for line in lines)
    assert all(torch.equal(value, before[name]) for name, value in run.task.tutor.state_dict().items())
    assert all(torch.equal(before[name], value.float()) for name, value in released("fast").items())
    with pytest.raises(TweenError, match="name them by --start"):
        fast(**data, **QUICK, config=TOY_FAST, flips=1.0)


def test_both_begin_from_a_run_of_ones_own(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learned = train(fast(**data, **QUICK, config=TOY_FAST, name="mine")).folder / "best.safetensors"
    mine = checkpoint.part(checkpoint.weights(learned), "net.")
    for start in ("mine_best", str(learned)):
        again = fast(**data, **QUICK, config=TOY_FAST, start=start).task.modules["net"].state_dict()
        assert all(torch.equal(again[name], value) for name, value in mine.items())
    inside = quality(**data, **QUICK, config=TOY_QUALITY, start="mine_best").task.modules["net"].fast
    assert all(torch.equal(inside.state_dict()[name], value) for name, value in mine.items())


def test_a_batch_is_real_first_and_synthetic_after(run):
    one, again = run.batch(7), run.batch(7)
    assert one.frames.shape == (3, 3, 3, 64, 64)
    assert one.known.tolist() == [0.0, 0.0, 1.0]
    assert torch.equal(one.frames, again.frames)
    assert not torch.equal(one.frames, run.batch(8).frames)


def test_crops_of_several_sizes_take_turns(data, tmp_path):
    sizes = {"crop": (64, 64, 64, 96), "shrink": (1.0, 1.5)}
    run = replace(fast(**data, **QUICK | sizes, config=TOY_FAST), runs=tmp_path)
    assert [tuple(run.batch(i).frames.shape[-2:]) for i in range(3)] == [(64, 64), (64, 96), (64, 64)]
    assert run.task.shrinks == {(64, 64): 1.0, (64, 96): 1.5}
    assert train(run).finished


@pytest.mark.parametrize(
    ("crop", "shrink"), [((64,), (1,)), ((), (1,)), ((64, 64, 64, 64), (1, 1.5)), ((64, 64), (1, 1.5))]
)
def test_crops_and_shrinks_that_do_not_fit_together(data, crop, shrink):
    with pytest.raises(TweenError, match="one for each"):
        fast(**data, **QUICK | {"crop": crop, "shrink": shrink}, config=TOY_FAST)


def test_shots_clips_and_photos_are_put_together(data):
    store, windows = load(data["data"], data["packed"], data["photos"], CPU, pixels=24.0, workers=1)
    assert store.offset.shape == (2, 13)  # twelve frames and a photo
    assert windows.first.tolist() == [0, 6]
    assert windows.count.tolist() == [6, 6]  # the second ends where its clip does
    everywhere = torch.stack(torch.meshgrid(torch.arange(128.0), torch.arange(96.0), indexing="xy"), -1)
    for frame, shift, least in ((6, 12, 22), (12, 40, 22)):
        found = sample(store, torch.tensor([frame]), everywhere[None], torch.ones(1))[0]
        error = found.permute(1, 2, 0).numpy() * 255.0 - picture(shift)
        assert 10 * np.log10(255**2 / (error**2).mean()) > least


def test_validation_is_what_evaluate_says_of_the_filler(data):
    net, scenes = fast_net(), read(data["val"])
    expected = middle_frames(InterpFiller(net), scenes, choose("triplets")).psnr
    assert validate(torch.nn.ModuleDict({"net": net}), 0, scenes=scenes) == {"psnr": expected}


def test_validation_leaves_the_mode(data):
    modules = torch.nn.ModuleDict({"net": fast_net()}).train()
    validate(modules, 0, scenes=read(data["val"]))
    assert modules["net"].training


def test_it_can_start_from_released_weights(data):
    run = fast(**data | {"val": None}, **QUICK, start="fast")
    mine = run.task.modules["net"].state_dict()
    assert all(torch.equal(mine[name], value.float()) for name, value in released("fast").items())
    for start, said in (
        ("blend", "blend has no weights"),
        ("quality", "but is another"),
        ("none", "none should name"),
    ):
        with pytest.raises(TweenError, match=said):
            fast(**data | {"val": None}, **QUICK, start=start)
    with pytest.raises(TweenError, match="0 or more, but got -1"):
        fast(**data | {"val": None}, **QUICK, start="fast", flips=-1)


def test_without_clips(data, tmp_path):
    (tmp_path / "shots.csv").write_text((data["data"] / "shots.csv").read_text())
    with pytest.raises(TweenError, match="none is there"):
        load(tmp_path, tmp_path, None, CPU, pixels=24.0, workers=1)


def test_without_videos(tmp_path):
    with pytest.raises(TweenError, match="should hold videos, but has none"):
        fast(data=tmp_path, packed=tmp_path, **QUICK)


def test_without_a_set_to_validate_on(data):
    run = fast(**data | {"val": None}, **QUICK, config=TOY_FAST)
    assert run.validate is None
    assert run.best_key is None
