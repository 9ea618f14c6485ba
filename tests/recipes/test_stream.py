"""Latents are those of a session; the network and its student take their turns, and the best student is kept."""

import json

import numpy as np
import pytest
import torch

from tests.data.room import episode
from tests.models.stream.test_follow import FEW, VAE
from tests.models.stream.toy import config
from tests.recipes.test_vae import episodes
from tween.core import TweenError
from tween.data.episodes import Window, take
from tween.engine import checkpoint, train
from tween.models.stream.distill import Matching
from tween.models.stream.net.net import StreamNet
from tween.nn.vae import WanVAE
from tween.recipes.stream import beginnings, distil, draws, encoded, stream
from tween.recipes.world_judge import BEFORE, going_on, held, lasting, measured, validation

ORDERS = ["left", "walk", "stand", "right"]


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return WanVAE(VAE).eval()


@pytest.fixture(scope="module")
def clips(vae):
    return encoded(vae, episodes(f=40, cut=20, size=(32, 48)), length=17, stride=2, device="cpu", batch=5)


@pytest.fixture(scope="module")
def rooms():
    """Two episodes in which everything happens long enough."""
    a, b = (
        episode([o for o in orders for _ in range(3)], hold=12, h=32, w=48)
        for orders in (ORDERS, ORDERS[::-1])
    )
    arrays = {
        k: np.concatenate((getattr(a, k), getattr(b, k))) for k in ("frames", "keys", "mouse", "pose", "cuts")
    }
    return type(a)(**arrays, about=a.about + b.about)


def test_latents_are_those_of_a_session_that_begins_there(vae, clips):
    known = episodes(f=40, cut=20, size=(32, 48))
    places = [(n, i) for n in range(3) for i in (0, 2, 20, 22)]  # none with a cut inside
    assert clips.frames.shape == (12, 5, 2, 4, 6)
    assert clips.frames.dtype == torch.float16
    for at in (0, 7, 11):
        window = take(known, np.array([places[at]]), 17)
        with torch.no_grad():
            latents, _ = vae.encode(window.frames.movedim(-1, 2).float() / 255)
        torch.testing.assert_close(clips.frames[at].float(), latents[0], atol=2e-3, rtol=2e-3)
        assert torch.equal(clips.keys[at], window.keys[0])
        assert torch.equal(clips.mouse[at], window.mouse[0])


def test_a_network_that_went_wrong_is_told(vae):
    broken = WanVAE(VAE)
    broken.mean.fill_(float("nan"))
    with pytest.raises(TweenError, match="latents should be finite"):
        encoded(broken, episodes(), length=5, stride=2, device="cpu")


def test_beginnings_are_of_latents_and_their_actions(clips):
    first = beginnings(clips, 3)
    assert first.frames.shape[1:] == (3, 2, 4, 6)
    assert (first.keys.shape[1], first.mouse.shape[1]) == (9, 9)
    assert all(torch.equal(a, b) for a, b in zip(beginnings(clips, 50), clips, strict=True))


def test_draws_are_a_function_of_the_index(clips):
    batch = draws(clips, batch_size=7)
    assert all(torch.equal(a, b) for a, b in zip(batch(3), batch(3), strict=True))
    assert not torch.equal(batch(3).frames, batch(4).frames)
    drawn = draws(clips, batch_size=500)(0).frames.flatten(1)
    assert len(drawn.unique(dim=0)) == len(clips.frames.flatten(1).unique(dim=0))


def batches(clips):
    return draws(clips, batch_size=2)


def test_three_steps(clips, tmp_path):
    run = stream(batch=batches(clips), config=config(), device="cpu", steps=3, batch_size=2, runs=tmp_path)
    report = train(run)
    assert (report.step, report.finished, report.skipped) == (3, True, 0)


def test_three_steps_of_a_student(clips, rooms, vae, tmp_path):
    """Critic in each, student in the first; the weights that are kept are those that were validated best."""
    torch.manual_seed(0)
    teacher = StreamNet(config())
    judge = validation(vae, held(rooms, rollouts=4, blocks=2), FEW, walks=2, frames=12)
    run = distil(
        batch=batches(clips),
        teacher=teacher,
        matching=Matching(sampling=FEW),
        validate=judge,
        best_key="kept",
        device="cpu",
        steps=3,
        batch_size=2,
        eval_interval=1,
        runs=tmp_path,
    )
    before = {k: v.clone() for k, v in run.task.modules.state_dict().items()}
    report = train(run)
    after = run.task.modules.state_dict()
    assert (report.step, report.skipped) == (3, 0)
    assert any(not torch.equal(before[k], after[k]) for k in before if k.startswith("critic."))
    rows = [json.loads(line) for line in (tmp_path / "student" / "log.jsonl").read_text().splitlines()]
    kept = {row["step"]: row["kept"] for row in rows if "kept" in row}
    assert kept.keys() == {1, 2, 3}
    assert report.best == max(kept.values())
    _, head = checkpoint.read(tmp_path / "student" / "best.safetensors")
    assert kept[head["step"]] == report.best


def test_who_does_not_obey_is_not_kept(rooms, vae):
    torch.manual_seed(0)
    modules = torch.nn.ModuleDict({"net": StreamNet(config())})
    on = held(rooms, rollouts=4, blocks=2)
    lenient, strict = (validation(vae, on, FEW, least=x, walks=2, frames=12)(modules, 0) for x in (0.0, 1.1))
    assert lenient["kept"] == -lenient["frechet"]
    assert strict["kept"] < -1e5


def test_judged_by_half_of_what_is_held(rooms):
    """A world that knows the future obeys as the real one does and is exact; the last frame repeated is not."""
    on = held(rooms, rollouts=8, blocks=6)
    assert (on.real, len(on.episodes)) == (1.0, 1)

    real = on.episodes
    frames = torch.from_numpy(real.frames[0]).movedim(-1, 1).float() / 255

    def oracle(seen, keys, mouse):
        def first(i):
            return next(
                j
                for j in range(len(frames) - len(keys[i]) + 1)
                if torch.equal(frames[j : j + BEFORE], seen[i])
                and (real.keys[0, j : j + len(keys[i])] == keys[i].numpy()).all()
                and (real.mouse[0, j : j + len(keys[i])] == mouse[i].numpy()).all()
            )

        starts = [first(i) for i in range(len(seen))]
        return torch.stack([frames[j + BEFORE : j + keys.shape[1]] for j in starts])

    found = measured(oracle, on)
    assert found["obeyed"] == 1
    assert found["psnr"] == pytest.approx(100)
    lazy = measured(
        lambda seen, keys, mouse: seen[:, -1:].repeat(1, keys.shape[1] - seen.shape[1], 1, 1, 1), on
    )
    assert lazy["psnr"] == pytest.approx(found["repeated"])
    assert lazy["obeyed"] < 0.5


def test_a_walk_that_fades_does_not_stay(rooms, vae):
    on = held(rooms, rollouts=4, blocks=2)

    def fading(seen, keys, mouse):
        t = keys.shape[1] - 1
        return seen * torch.linspace(1, 0.2, t)[:, None, None, None]

    stays, walk = lasting(fading, on, vae, early=10, late=100, count=3)
    assert walk.shape == (99, 3, 32, 48)
    assert not stays.stays()
    assert stays.sharpness[1] < 0.5 * stays.sharpness[0]


def test_a_world_of_nans_is_far_from_real_and_ends_no_run(rooms, vae):
    def broken(seen, keys, mouse):
        made = seen[:, :1].expand(-1, keys.shape[1] - 1, -1, -1, -1).clone()
        made[:, 50:] = torch.nan
        return made

    stays, walk = lasting(broken, held(rooms, rollouts=4, blocks=2), vae, early=10, late=100, count=3)
    assert stays.frechet[0] < stays.frechet[1] < float("inf")
    assert walk.isfinite().all()


def test_a_world_goes_on_from_blocks(rooms, vae):
    torch.manual_seed(0)
    world = going_on(StreamNet(config()).eval(), vae, FEW)
    keys, mouse = torch.zeros(2, BEFORE + 18, 4, dtype=torch.uint8), torch.zeros(2, BEFORE + 18, 2)
    assert world(torch.rand(2, BEFORE, 3, 32, 48), keys, mouse).shape == (2, 18, 3, 32, 48)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_steps_on_a_gpu_are_those_of_a_cpu_but_for_their_noise(tmp_path, compiled):
    """Both recipes, in bfloat16; untrained, the network's loss is that of predicting nothing."""
    g = torch.Generator().manual_seed(0)
    keys, mouse = torch.zeros(64, 21, 4, dtype=torch.uint8), torch.zeros(64, 21, 2)
    known = Window(*(x.cuda() for x in (torch.randn(64, 6, 2, 4, 6, generator=g).half(), keys, mouse)))
    common = {"device": "cuda", "batch_size": 64, "runs": tmp_path}
    batch, small = draws(known, batch_size=64), config(channels=2)
    report = train(stream(batch=batch, config=small, steps=3, compiled=compiled, **common))
    rows = [json.loads(line) for line in (report.folder / "log.jsonl").read_text().splitlines()]
    assert (report.step, report.skipped) == (3, 0)
    assert rows[-1]["velocity"] == pytest.approx(2, rel=0.1)
    taught = train(distil(batch=batch, teacher=StreamNet(small), steps=6, **common))
    assert (taught.step, taught.skipped) == (6, 0)
