"""What a GPU would run, without one: tensors that only have a shape, on a device that is not the CPU."""

from contextlib import nullcontext
from itertools import pairwise

import pytest
import torch
from torch.nn.attention import flex_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.models.stream.toy import actions, latents, net
from tween.data.episodes import Window
from tween.models.stream.actions import Actions
from tween.models.stream.config import Rule
from tween.models.stream.distill import DistillTask, Matching, rollout
from tween.models.stream.follow import follow
from tween.models.stream.net import attention
from tween.models.stream.net import net as networks
from tween.models.stream.sampling import Sampling, even
from tween.models.stream.task import Forcing, ForcingTask
from tween.models.stream.vae_task import VaeTask
from tween.nn.vae import WanConfig, WanVAE

DEVICE = torch.device("meta")
TINY = WanConfig(
    latent=2, width=4, decoder_width=4, multipliers=(1, 1, 1), blocks=1, time=(True, True), patch=2
)


class Watch(TorchDispatchMode):
    """Notes operations on the CPU, and those that mix devices: of both, a GPU waits or refuses."""

    def __init__(self, allowed=()):
        super().__init__()
        self.allowed, self.found = allowed, []

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        out = op(*args, **(kwargs or {}))
        devices = {t.device.type for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)}
        if devices - {DEVICE.type} and op.overloadpacket.__name__ not in self.allowed:
            self.found.append((str(op), devices))
        return out


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch):
    """Which knows no such device."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())


def clips():
    keys, mouse = torch.zeros(2, 21, 4, dtype=torch.uint8), torch.zeros(2, 21, 2)
    return Window(*(x.to(DEVICE) for x in (latents(6), keys, mouse)))


def test_a_step_of_the_autoencoder_stays_on_the_device():
    task = VaeTask(WanVAE(TINY), learn=5, levels=2)
    task.modules.to(DEVICE)
    frames = torch.rand(2, 13, 3, 32, 32, device=DEVICE)
    with Watch() as watch:
        for step in (0, 1):
            sum(task.loss("main", frames, step).values()).backward()
    assert not watch.found


@pytest.mark.parametrize("teach", ["teacher", "diffusion"])
def test_a_step_of_the_network_stays_on_the_device(teach):
    task = ForcingTask(net().to(DEVICE), torch.Tensor.float, Forcing(teach=teach, stain=0.2))
    batch = clips()
    with Watch() as watch:
        sum(task.loss("main", batch, 0).values()).backward()
    assert not watch.found


@pytest.mark.parametrize("turn", ["critic", "student"])
def test_a_step_of_the_student_stays_on_the_device(turn):
    task = DistillTask(net().to(DEVICE), torch.Tensor.float, Matching(), lr=1e-4)
    batch = clips()
    with Watch(allowed=("randint", "_local_scalar_dense")) as watch:  # the number of passes
        sum(task.loss(turn, batch, 0).values()).backward()
    assert not watch.found


def test_what_is_judged_comes_from_the_device():
    network, codec = net().to(DEVICE).eval(), WanVAE(TINY).to(DEVICE).eval()
    act = Actions(torch.zeros(2, 27, 4, device=DEVICE), torch.zeros(2, 27, 2, device=DEVICE))
    seen = torch.rand(2, 9, 3, 32, 48, device=DEVICE)
    noise = ("randn", "stack", "_to_copy", "to")
    with Watch(allowed=noise) as watch:
        made = follow(network, codec, seen, act, frames=18, sampling=even(2))
    assert made.device == DEVICE
    assert not watch.found


def test_mistakes_are_seen():
    with Watch() as watch:
        torch.zeros(2, device=DEVICE).copy_(torch.ones(2))
    assert watch.found


def gradients_on(layer, monkeypatch):
    """What `layer` runs with, in order: "with" gradients or "without"; and when "cleared"."""
    seen = []
    layer.register_forward_hook(lambda *args: seen.append("with" if torch.is_grad_enabled() else "without"))
    monkeypatch.setattr(torch, "clear_autocast_cache", lambda: seen.append("cleared"))
    return seen


@pytest.mark.parametrize("kind", ["autoencoder", "student"])
def test_weights_cast_without_gradients_are_not_lent_on(kind, monkeypatch):
    """PyTorch before 2.11 keeps the cast weights of a pass without gradients for the next pass, which then learns
    nothing; newer ones do not, so only the order tells."""
    if kind == "autoencoder":
        task = VaeTask(WanVAE(TINY), learn=5, levels=2)
        seen = gradients_on(task.modules["vae"].decoder[0], monkeypatch)
        task.loss("main", torch.rand(1, 13, 3, 32, 32), 1)
    else:
        monkeypatch.setattr(torch, "randint", lambda *args: torch.tensor(2))
        network = net()
        seen = gradients_on(network.head, monkeypatch)
        rollout(network, Sampling(), torch.Size((1, 6, 2, 4, 6)), actions(6, b=1), latents(1, b=1)[:, 0])
    assert "without" in seen
    assert seen.count("with") == (1 if kind == "autoencoder" else 2)
    assert all(before == "cleared" for before, now in pairwise(seen) if now == "with")


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Masks are flex_attention's, which may have gradients on a CPU here: as plain operations."""

    def lens(sight, rule, size, grid):
        mask = attention.block_mask(sight, rule, grid[0] * grid[1])
        return attention.lens(sight, rule, size, grid)._replace(mask=mask)

    def use():
        monkeypatch.setattr(networks, "lens", lens)
        monkeypatch.setattr(flex_attention, "_validate_device", lambda *args: None)

    yield use
    torch._dynamo.reset()


@pytest.mark.parametrize("rule", [Rule(), Rule(window=6, sink=3)], ids=str)
def test_blocks_compile_to_one_graph_a_kind_and_learn_the_same(rule, as_on_a_gpu):
    """Blocks with action modules and those without; what is compiled gives the gradients of what is not."""
    graphs = []

    def backend(graph, example):
        graphs.append(graph)
        return graph.forward

    network, x, act = net(rule=rule, layers=5), latents(6), actions(6)
    level = torch.full((2, 6), 0.5)

    def gradients():
        network.zero_grad()
        network(x, level, act, x[:, 0], clean=x)[0].square().sum().backward()
        return [p.grad.clone() for p in network.parameters()]

    want = gradients()
    as_on_a_gpu()
    for block in network.blocks:
        block.compile(dynamic=False, fullgraph=True, backend=backend)
    for _ in range(2):
        got = gradients()
    assert len(graphs) == 2
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
