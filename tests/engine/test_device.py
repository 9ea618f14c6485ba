"""On a GPU: bf16, channels_last, compiled, a step that never waits, and exact resume."""

import pytest
import torch
from torch import nn

from tests.engine.toy import Toy, toy_run
from tween.engine import checkpoint, train
from tween.engine.distributed import Ranks
from tween.engine.loop import begin, take_step

pytestmark = pytest.mark.gpu


class Conv(Toy):
    def __init__(self):
        super().__init__()
        layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.PReLU(8), nn.Conv2d(8, 3, 3))
        self.modules = nn.ModuleDict({"net": layers}).to("cuda", memory_format=torch.channels_last)
        self.terms = torch.compile(lambda x: {"far": (self.modules["net"](x) - 1).float().square().mean()})

    def loss(self, turn, batch, step):
        return self.terms(batch)


def picture(index):
    generator = torch.Generator("cuda").manual_seed(index)
    return torch.randn(4, 3, 16, 16, device="cuda", generator=generator)


def conv_run(folder, **changes):
    fields = {"task": Conv(), "batch": picture, "batch_size": 4, "precision": "bf16", "steps": 6}
    return toy_run(folder, **(fields | changes))


def test_a_step_never_waits_for_the_device(tmp_path):
    run = conv_run(tmp_path)
    state = begin(run, False, Ranks())
    take_step(run, state, Ranks())  # compiling may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        take_step(run, state, Ranks())
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_stop_and_resume_on_the_device(tmp_path, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        train(conv_run(tmp_path / "whole"))
        for _ in range(6):
            train(conv_run(tmp_path / "parts", minutes=0))
    finally:
        torch.use_deterministic_algorithms(False)
    whole, parts = (checkpoint.read(tmp_path / n / "last.safetensors")[0] for n in ("whole", "parts"))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)
