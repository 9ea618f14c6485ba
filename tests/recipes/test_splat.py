"""The recipe of `splat`: from clips to a validated checkpoint, its curriculum, its teachers, and every mistake."""

import dataclasses
import json
import math

import pytest
import torch

from tests.data.made import clip, folder
from tests.data.test_windows import shots
from tween.cli.main import main
from tween.core import TweenError
from tween.data.windows import Window, pairings
from tween.evaluate.models import ready
from tween.models.splat.config import TOY, SplatConfig
from tween.models.splat.filler import SplatFiller
from tween.models.splat.net import SplatNet
from tween.models.splat.task import SplatTask, Weights
from tween.recipes import splat_feeds
from tween.recipes.splat import begun, splat
from tween.recipes.splat_feeds import GROWING, Length, split, stage, told

SMALL = ["--steps", "4", "--epochs", "2", "--batch-size", "2", "--crop", "64", "--no_amp", "--device", "cpu"]


class Small(SplatNet):
    """The network that the recipe builds, in a toy's widths."""

    def __init__(self, config=None):
        super().__init__(config or TOY)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    where = folder(tmp_path_factory.mktemp("data"))
    clip(where["data"] / "in" / "b.avi", n=20)
    (where["data"] / "shots.csv").write_text(
        "file,shot,start_frame,end_frame_excl,mean_flow_px\nin/a.avi,0,0,12,2.0\nin/b.avi,0,0,20,2.0\n"
    )
    return where


@pytest.fixture
def train(data, tmp_path, monkeypatch):
    from tween.evaluate import splat as measures
    from tween.recipes import splat as recipe

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipe, "SplatNet", Small)
    monkeypatch.setattr(measures, "CURVES", 1)
    return lambda *flags: main(["train", "splat", "--data", str(data["data"]), *SMALL, *map(str, flags)])


def test_clips_to_weights_that_run(train, data, tmp_path, capsys):
    flags = ["--photos", data["photos"], "--val", data["val"], "--hold-out", 2, "--num-workers", 1]
    assert train("--exp_name", "mine", "--eval_full_every", 2, "--warmup-epochs", 1, *flags) == 0
    log = [json.loads(line) for line in (tmp_path / "runs/mine/log.jsonl").read_text().splitlines()]
    checked = [row for row in log if "psnr" in row]
    assert [row["step"] for row in checked] == [2, 4]
    assert "clips_n4" not in checked[0]  # the full benchmark comes every second epoch
    assert {f"{kind}_n{n}" for kind in ("clips", "curves") for n in (2, 3, 4)} <= checked[1].keys()
    assert {"clips_fast", "curves_dis", "clips_lerp"} <= checked[1].keys()
    filler = ready("mine_best", device="cpu")
    assert isinstance(filler, SplatFiller)
    assert filler.net.config == TOY
    assert main(["eval", "splat", "windows", "--checkpoint", "mine", "--data", str(data["data"]), "--curves", "1",
                 "--device", "cpu", "--json", "w.json"]) == 0  # fmt: skip
    values = json.loads((tmp_path / "w.json").read_text())
    assert {"n2", "n3", "n4", "lerp", "blend", "dis", "fast"} == values["clips"].keys()
    assert all(5 < psnr < 60 for rows in values["clips"].values() for psnr in rows.values())


def test_dis_tells_of_clips(data):
    feed = splat_feeds.clips(data=data["data"], packed=data["packed"], synthetic=0.0, workers=1, n_frames=[3])
    draw = feed.draw(Length(steps=4), 1, (64, 64), 0, torch.device("cpu"))
    batch, taught = draw(0), told(draw(0))
    assert not batch.known.any()
    assert taught.known.all()
    assert taught.flow[:, 0, 1].abs().mean() > 0.3
    assert not taught.flow[:, 0, 2].any()  # of no loss
    assert torch.equal(
        splat_feeds.taught(feed).draw(Length(steps=4), 1, (64, 64), 0, batch.t.device)(0).flow, taught.flow
    )


@pytest.mark.parametrize("each", [1, 4])
def test_the_curriculum(each):
    length = Length(steps=1000, each=each)
    found = [stage(i * each, length=length, count=4, growing=True, seed=0) for i in range(1000)]
    end = round(1000 * GROWING)
    assert found[:end] == sorted(found[:end])
    assert set(found[:end]) == set(found[end:]) == {0, 1, 2, 3}
    assert found[end:] != sorted(found[end:])
    assert {stage(7 * each + k, length=length, count=4, growing=False, seed=0) for k in range(each)} == {
        stage(7 * each, length=length, count=4, growing=False, seed=0)
    }  # all processes take the same


def test_held_out_shots_are_not_trained_on():
    windows = shots()
    many = type(windows)(
        **{k: torch.arange(9) if k == "first" else getattr(windows, k).expand(9) for k in vars(windows)}
    )
    kept, out = split(many, 4)
    assert out.first.tolist() == [3, 7]
    assert sorted(kept.first.tolist() + out.first.tolist()) == list(range(9))
    assert len(split(many, 0)[1].first) == 0


def test_it_begins_from_the_features_of_fast():
    torch.manual_seed(0)
    net = SplatNet(SplatConfig())
    assert "73 tensors" in begun(net, "fast")["begun from"]
    from tween.zoo.load import released

    assert torch.equal(net.pairs.key.weight, released("fast")["key.weight"].float())
    with pytest.raises(TweenError, match="nothing that fits"):
        begun(torch.nn.Linear(1, 1), "fast")


def window(n=3):
    frames = torch.rand(2, n, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return Window(
        frames=frames, times=torch.linspace(0, 1, n).expand(2, n), truth=frames[:, 0], t=torch.tensor([0.2, 0.8]),
        flow=torch.zeros(2, n, n + 1, 2, 64, 64), layer=torch.zeros(2, n, 64, 64), known=torch.tensor([1.0, 0.0]),
    )  # fmt: skip


@pytest.mark.parametrize("n", [2, 4])
def test_terms_of_the_loss_and_their_schedule(n):
    torch.manual_seed(0)
    task = SplatTask(SplatNet(TOY), Weights(warmup=2, flow_until=10))
    first, warm, learned, late = (task.loss("main", window(n), step) for step in (0, 1, 5, 10))
    assert set(first) == set(task.weights.fixed)
    assert warm["flow"] < first["flow"]
    assert "flow" in learned
    assert "flow" not in late  # or its s would fall for ever
    assert all(v.isfinite() for terms in (first, learned, late) for v in terms.values())
    sum(learned.values()).backward()
    assert task.modules["balance"].logs.grad.abs().min() > 0
    groups = task.params()["main"]
    assert groups[-1]["weight_decay"] == 0.0
    assert sum(len(g["params"]) for g in groups) == len(list(task.modules.parameters()))


def slopes(task, batch, step):
    """Gradient of the learned weights by name, and of the network's last motion layer through the flow alone."""
    terms = task.loss("main", batch, step)
    (d_logs,) = torch.autograd.grad(sum(terms.values()), task.modules["balance"].logs, retain_graph=True)
    (d_net,) = torch.autograd.grad(terms["flow"], task.modules["net"].pairs.at4.head.weight)
    return dict(zip(task.modules["balance"].names, d_logs.tolist(), strict=True)), d_net.norm().item()


def test_the_supervision_of_flow_fades_although_its_weight_is_learned():
    """Where s would settle does not move with the schedule: else the learned weight makes up for all of the fading."""
    torch.manual_seed(0)
    task = SplatTask(SplatNet(TOY), Weights(warmup=0, flow_until=100))
    early, late = (slopes(task, window(), step) for step in (0, 80))
    fade = (1 + math.cos(math.pi * 0.8)) / 2
    assert late[1] == pytest.approx(fade * early[1], rel=1e-4)
    assert late[0]["flow"] == pytest.approx(fade * early[0]["flow"], rel=1e-4)
    assert late[0]["l1"] == pytest.approx(early[0]["l1"], rel=1e-4)


def test_where_no_motion_is_known_its_weights_stay():
    task = SplatTask(SplatNet(TOY), Weights(warmup=0, flow_until=100))
    batch = dataclasses.replace(window(), known=torch.zeros(2))
    d_logs, d_net = slopes(task, batch, 10)
    assert d_logs["flow"] == d_logs["match"] == d_net == 0
    assert all(d_logs[name] for name in d_logs.keys() - {"flow", "match"})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--crop", "40"], "multiples of 32"),
        (["--crop", "64", "64", "64"], "one side or H W"),
        (["--x4k-steps", "7"], "go in pairs"),
        (["--x4k-steps", "7", "15", "--x4k-n-frames", "4"], "go in pairs"),
        (["--n-frames", "1"], "two or more"),
        (["--synthetic", "3"], "share from 0 to 1"),
        (["--eval-full-every", "0"], "1 or more"),
        (["--vimeo-root", "."], "not both"),
        (["--start", "blend"], "no weights"),
    ],
)
def test_mistakes_are_one_line(train, capsys, flags, said):
    assert train(*flags) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("mode", "flag"), [("vimeo_only", "--vimeo-root"), ("x4k_only", "--x4k-root"), ("mixed", "--v")]
)
def test_a_mode_without_its_set(mode, flag):
    with pytest.raises(TweenError, match=f"--mode {mode} needs {flag}"):
        splat_feeds.disk(mode, vimeo_root=None, x4k_root=None, pairs=pairings([7], [4]))


def test_epochs_are_steps(data, tmp_path):
    feed = splat_feeds.clips(data=data["data"], packed=data["packed"], workers=1, samples=40)
    run = splat(feed=feed, config=TOY, epochs=3, batch_size=4, crop=(64, 64), device="cpu", runs=tmp_path)
    assert run.steps == 30
    assert run.eval_interval == 10
    assert run.validate is None
