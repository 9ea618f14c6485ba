"""A task small enough to train in a second: learn a matrix, with noise from torch's own generator."""

from pathlib import Path

import torch
from torch import nn

from tween.engine import Optim, Run

TRUTH = torch.linspace(-1, 1, 12).reshape(3, 4)


class Toy:
    """One turn, or two (`a`, `b`) that own a layer each."""

    def __init__(self, two: bool = False):
        torch.manual_seed(5)
        layers = {"a": nn.Linear(4, 8), "b": nn.Linear(8, 3)}
        self.modules, self.two = nn.ModuleDict(layers), two
        self.after = []

    def params(self):
        if self.two:
            return {k: [{"params": list(m.parameters())}] for k, m in self.modules.items()}
        return {"main": [{"params": list(self.modules.parameters())}]}

    def turns(self, step):
        return self.modules if self.two else ["main"]

    def loss(self, turn, batch, step):
        noisy = batch + 0.01 * torch.randn_like(batch)
        out = self.modules["b"](self.modules["a"](noisy).relu())
        error = (out - batch @ TRUTH.T) ** 2
        return {"near": error.mean(), "far": 0.1 * error.max()}

    def after_step(self, step, optimizers):
        self.after.append((step, tuple(optimizers)))


def batch(index: int) -> torch.Tensor:
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(index))


def toy_run(folder: Path, **changes) -> Run:
    fields = {
        "name": folder.name,
        "task": Toy(),
        "batch": batch,
        "batch_size": 16,
        "steps": 12,
        "optim": Optim(lr=1e-2, min_lr=1e-3, warmup=3, rewarm=4),
        "ema": 0.99,
        "log_interval": 5,
        "runs": folder.parent,
    }
    return Run(**(fields | changes))
