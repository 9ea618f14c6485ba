"""Both pretrainings learn the corridor, and what has learned it obeys; distillation makes few steps serve."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from tests.models.stream.square import (
    CONFIG,
    FIELDS,
    MEAN,
    WAYS,
    Clip,
    Grouped,
    clips,
    draw,
    encode,
    place,
    pressing,
)
from tests.models.stream.toy import actions, latents, net
from tween.engine import Optim, Run, train
from tween.models.stream.actions import Actions
from tween.models.stream.cache import begin
from tween.models.stream.config import Rule
from tween.models.stream.distill import DistillTask, Matching, rollout
from tween.models.stream.filler import StreamFiller
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling, even, next_block
from tween.models.stream.task import Forcing, ForcingTask, levels, of_blocks
from tween.models.stream.timeline import block_frames

FRAMES = 13
FEW, MANY = Sampling(steps=(1000, 500), shift=4.0), even(16, shift=4.0)


def run(folder, task, steps, batch=lambda i: clips(32, FRAMES, i), lr=4e-3, **changes):
    """The averaged network after `steps` steps, and the log."""
    kept = []

    def keep(modules, step):
        kept.append(deepcopy(modules["net"]).requires_grad_(True))
        return {"step": float(step)}

    optim = {"betas": (0.9, 0.99), "min_lr": lr / 50, "warmup": 20, "weight_decay": 0.0} | changes
    train(
        Run(
            name=folder.name,
            runs=folder.parent,
            task=task,
            batch=batch,
            batch_size=32,
            steps=steps,
            optim=Optim(lr=lr, **optim),
            ema=0.95,
            validate=keep,
            eval_interval=steps,
            log_interval=10,
        )
    )
    return kept[-1].eval(), [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A network after teacher forcing, a third of its pictures hidden, and the log."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    task = ForcingTask(StreamNet(CONFIG), encode, Forcing(shift=4.0, blind=0.3))
    yield run(tmp_path_factory.mktemp("corridor"), task, 400)
    torch.set_num_threads(threads)


def velocity(log):
    return [row["velocity"] for row in log if "velocity" in row]


def test_the_loss_falls(learned):
    losses = velocity(learned[1])
    assert losses[0] > 1
    assert sum(losses[-5:]) / 5 < 0.1 * losses[0]


@pytest.mark.parametrize("sampling", [FEW, even(8, shift=4.0)], ids=["renoise", "adams"])
def test_the_world_obeys(learned, sampling):
    """In 8 blocks from pictures and noise that it has not seen the square goes where the key says, or stays."""
    world, known = StreamFiller(learned[0], Grouped(), sampling, side=1), clips(32, 1, 9999).frames
    for way in (2, 3, 4):
        state = world.begin(known[:, 0].shape, seed=0, device="cpu", dtype=torch.float32)
        made = []
        for _ in range(8):
            times = world.frames(state)
            frames, state = world.fill(state, known, [0], times, pressing(way, 32, len(times)))
            made.append(frames)
        at = place(torch.cat(made, 1))[:, ::4]
        assert (at[:, 0] - place(known)[:, 0]).abs().max() < 0.3
        expected = (at[:, :-1].round() + WAYS[way]).clamp(0, FIELDS - 1)
        assert ((at[:, 1:] - expected).abs() < 0.3).float().mean() > 0.95


def test_diffusion_forcing_learns_too(tmp_path):
    torch.manual_seed(0)
    task = ForcingTask(StreamNet(CONFIG), encode, Forcing(teach="diffusion", shift=4.0))
    losses = velocity(run(tmp_path / "run", task, 120)[1])
    assert sum(losses[-3:]) / 3 < 0.3 * losses[0]


def test_told_the_wrong_keys_the_square_does_not_go_where_the_right_ones_say(learned):
    """Or `obeys` would show nothing."""
    assert obeys(learned[0], MANY)[1] > 0.9
    assert obeys(learned[0], MANY, deaf=True)[1] < 0.5


@torch.no_grad()
def obeys(network, sampling, deaf=False):
    """Shares, without a seed picture: of frames that show one whole square, and of moves from one such frame to
    another that are what the keys say."""
    act = clips(128, FRAMES, 777)
    told = Actions(act.keys.flip(0) if deaf else act.keys, act.mouse)
    cache, made = begin(network.config, 128, (2, 2 * FIELDS)), []
    for block in range(4):
        r = block_frames(block, network.config.rule.block)
        args = network, cache, told[r.start : r.stop], None
        x, cache = next_block(*args, size=(2, 2 * FIELDS), seed=0, sampling=sampling)
        made.append(x)
    frames = Grouped().decode(torch.cat(made, 1))[0][:, ::4]
    boards = draw(torch.arange(FIELDS)[None])[0]
    whole = (frames[:, :, None] - boards).abs().flatten(3).amax(3).amin(2) < 0.3
    way = WAYS[torch.where(act.keys.sum(-1) > 0, act.keys.argmax(-1), 4)][:, : FRAMES - 1 : 4]
    at = place(frames).round()
    moved = whole[:, 1:] & whole[:, :-1] & (at[:, 1:] == (at[:, :-1] + way).clamp(0, FIELDS - 1))
    return whole.float().mean().item(), moved.float().mean().item()


def half_hidden(index):
    """Clips whose picture is hidden in more than half of them: grey, which is the latent zero."""
    clip = clips(32, FRAMES, 10_000 + index)
    hidden = torch.rand(32, generator=torch.Generator().manual_seed(index)) < 0.7
    grey = torch.full_like(clip.frames, MEAN)
    return Clip(torch.where(hidden[:, None, None, None, None], grey, clip.frames), clip.keys, clip.mouse)


@pytest.mark.long
def test_distillation_makes_few_steps_serve(learned, tmp_path):
    """Where the picture is hidden, two steps of the pretrained network often come to half of two squares."""
    teacher = learned[0]
    whole, moved = obeys(teacher, FEW)
    best, _ = obeys(teacher, MANY)
    assert best > 0.95
    assert whole < 0.8
    task = DistillTask(teacher, encode, Matching(sampling=FEW, every=4, shift=4.0, critic_lr=1.0), lr=5e-4)
    student, log = run(tmp_path / "run", task, 90, half_hidden, lr=5e-4, betas=(0.0, 0.99))
    after = obeys(student, FEW)
    assert after[0] > whole + 0.4 * (best - whole)
    assert after[1] > moved + 0.1
    assert {"critic/velocity", "student/matching"} <= set().union(*log)


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    """Critic and teacher agree at the start, so nothing moves; when the critic differs, something does."""
    teacher = net(channels=4, rule=Rule(block=1, window=3))
    task = DistillTask(teacher, encode, Matching(sampling=FEW), lr=1e-4)
    batch = clips(2, 9, 0)
    torch.manual_seed(0)
    assert task.loss("student", batch, 0)["matching"] == 0
    with torch.no_grad():
        for p in task.modules["critic"].parameters():
            p.add_(0.1 * torch.randn_like(p))
    loss = task.loss("student", batch, 0)["matching"]
    loss.backward()
    assert loss > 0
    grads = {
        k: sum(p.grad.norm().item() for p in m.parameters() if p.grad is not None)
        for k, m in task.modules.items()
    }
    assert grads["net"] > 0
    assert grads["critic"] == 0
    assert all(p.grad is None for p in teacher.parameters())


def test_the_critic_learns_from_what_the_student_makes_alone():
    task = DistillTask(net(channels=4, rule=Rule(block=1, window=3)), encode, Matching(sampling=FEW), lr=1e-4)
    task.loss("critic", clips(2, 9, 0), 0)["velocity"].backward()
    assert all(p.grad is None for p in task.modules["net"].parameters())
    assert sum(p.grad.norm() for p in task.modules["critic"].parameters() if p.grad is not None) > 0


def test_turns():
    task = DistillTask(net(channels=4), encode, Matching(every=3, critic_lr=0.2), lr=1e-4)
    assert [task.turns(step) for step in range(4)] == [
        ("critic", "student"),
        ("critic",),
        ("critic",),
        ("critic", "student"),
    ]
    assert task.params()["critic"][0]["lr"] == pytest.approx(2e-5)


def test_a_rollout_is_what_the_sampler_makes(monkeypatch):
    """Given the noise and the number of passes, block by block to the bit."""
    network, act, image = net(), actions(9), latents(1)[:, 0]
    sampling = Sampling(shift=2.0)
    source = torch.Generator().manual_seed(0)

    def noise(*args):
        return torch.randn(2, 3, 2, 4, 6, generator=source)

    monkeypatch.setattr("tween.models.stream.sampling.noise", noise)
    cache, made = begin(network.config, 2, (4, 6)), []
    with torch.no_grad():
        for b in range(3):
            r = block_frames(b)
            x, cache = next_block(
                network, cache, act[r.start : r.stop], image, size=(4, 6), seed=0, sampling=sampling
            )
            made.append(x)
    source.manual_seed(0)
    monkeypatch.setattr(torch, "randint", lambda *args, **kwargs: torch.tensor(3))
    monkeypatch.setattr(
        torch, "randn", lambda *args, generator=None, **kwargs: REAL(2, 3, 2, 4, 6, generator=source)
    )
    monkeypatch.setattr(torch, "randn_like", lambda x: REAL(x.shape, generator=source))
    rolled = rollout(network, sampling, torch.Size((2, 9, 2, 4, 6)), act, image)
    assert rolled.requires_grad
    assert torch.equal(rolled, torch.cat(made, 1))


REAL = torch.randn


def test_a_world_may_be_shown_before_its_network_learns_on():
    """What is kept from a pass without gradients serves a pass with them."""
    network, known = net(channels=4, rule=Rule(block=1, window=5)), clips(1, 1, 0).frames
    world = StreamFiller(network, Grouped(), even(1), side=1)
    state = world.begin(known[:, 0].shape, seed=0, device="cpu", dtype=torch.float32)
    world.fill(state, known, [0], range(1))
    batch = clips(2, 5, 0)
    image = encode(batch.frames)[:, 0]
    act = Actions(batch.keys, batch.mouse)
    rollout(network, even(1), torch.Size((2, 2, 4, 2, 16)), act, image).sum().backward()
    assert network.head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("teach", ["teacher", "diffusion"])
def test_a_hidden_picture_is_no_picture(teach):
    network, x, act = net(), latents(6), actions(6)
    level = torch.full((2, 6), 0.5)
    hidden = x[:, 0] * torch.tensor([0.0, 1.0])[:, None, None, None]
    both = network(x, level, act, hidden)[0]
    torch.testing.assert_close(both[:1], network(x, level, act)[0][:1])
    torch.testing.assert_close(both[1:], network(x, level, act, x[:, 0])[0][1:])
    assert (network(x, level, act)[0] - network(x, level, act, x[:, 0])[0]).abs().max() > 1e-3
    assert ForcingTask(network, lambda f: x, Forcing(teach=teach, blind=1.0)).terms(x, act)["velocity"] > 0


def test_levels_are_one_a_block_and_lean_to_noise():
    x = torch.zeros(500, 7, 1, 1, 1)
    level = levels(x, 3, 5.0)
    assert level.shape == (500, 7)
    assert torch.equal(level[:, 0], level[:, 2])
    assert torch.equal(level[:, 3], level[:, 5])
    assert not torch.equal(level[:, 2], level[:, 3])
    assert 0 < level.min() < level.max() < 1
    assert level.median() == pytest.approx(5 / 6, abs=0.03)
    ends = torch.tensor((0.1, 0.5, 0.9))
    torch.testing.assert_close(levels(x, 1, 1.0).quantile(ends), ends, atol=0.04, rtol=0)
    assert of_blocks(x, 3, torch.rand).shape == (500, 7)


def test_stain_puts_noise_on_the_clean_blocks_and_says_so():
    seen = {}

    class Spy(torch.nn.Module):
        config = net().config

        def forward(self, x, level, actions, image, *, clean, clean_level):
            seen.update(clean=clean, level=clean_level)
            return x, None

    x = latents(6, b=64)
    torch.manual_seed(0)
    ForcingTask(Spy(), lambda f: x, Forcing(stain=0.5)).terms(x, actions(6, b=64))
    assert 0.2 < seen["level"].mean() < 0.3
    assert seen["level"].max() <= 0.5
    far = (seen["clean"] - x).abs().mean((2, 3, 4))
    assert torch.corrcoef(torch.stack((far.flatten(), seen["level"].flatten())))[0, 1] > 0.9
    ForcingTask(Spy(), lambda f: x, replace(Forcing(), stain=0.0)).terms(x, actions(6, b=64))
    assert torch.equal(seen["clean"], x)


@pytest.mark.parametrize("kind", ["forcing", "distillation"])
def test_bfloat16_trains(tmp_path, kind):
    network = net(channels=4, rule=Rule(block=1, window=3))
    task = (
        ForcingTask(network, encode)
        if kind == "forcing"
        else DistillTask(network, encode, Matching(sampling=FEW, every=1), lr=1e-3)
    )
    report = train(
        Run(
            name="run",
            runs=tmp_path,
            task=task,
            batch=lambda i: clips(2, 9, i),
            batch_size=2,
            steps=2,
            precision="bf16",
            ema=0.9,
            optim=Optim(lr=1e-3, warmup=1),
        )
    )
    assert (report.step, report.skipped) == (2, 0)
