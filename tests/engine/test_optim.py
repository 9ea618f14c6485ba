"""Rates by hand-computed values, decay only where it belongs, averages by their formula."""

import pytest
import torch
from torch import nn

from tween.engine import Optim, ema, optim
from tween.engine.schedule import cosine, ema_decay

SHAPE = {"steps": 101, "warmup": 10, "lr": 1.0, "min_lr": 0.1}


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.55), (100, 0.1), (500, 0.1)]
)
def test_warmup_then_cosine(step, rate):
    assert cosine(step, **SHAPE) == pytest.approx(rate)


def test_the_rate_only_falls_after_the_warmup():
    rates = [cosine(step, **SHAPE) for step in range(10, 101)]
    assert rates == sorted(rates, reverse=True)
    assert cosine(0, steps=1, warmup=0, lr=1.0, min_lr=0.1) == 1.0


def test_fresh_moments_warm_up_again():
    settings = Optim(lr=1.0, min_lr=1.0, warmup=0, rewarm=4)
    assert [settings.rate(step, 100, 50) for step in (50, 51, 53, 54)] == [0.25, 0.5, 1, 1]
    assert settings.rate(0, 100, 0) == 1


def test_only_matrices_decay():
    layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU())
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    optimizer = Optim(weight_decay=0.5).build([{"params": layer.parameters()}])
    for p in layer.parameters():
        p.grad = torch.zeros_like(p)
    optim.step(optimizer, rate=lambda _: 0.1, clip=1.0, loss=torch.zeros(()))
    after = layer.state_dict()
    torch.testing.assert_close(after["0.weight"], 0.95 * before["0.weight"])
    assert torch.equal(after["0.bias"], before["0.bias"])
    assert torch.equal(after["1.weight"], before["1.weight"])


def test_gradients_are_clipped_together():
    p, q = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))
    optimizer = Optim().build([{"params": [p, q]}])
    p.grad, q.grad = torch.full((2, 2), 3.0), torch.full((2,), 4.0)
    norm, skipped = optim.step(optimizer, rate=lambda _: 0.0, clip=1.0, loss=torch.zeros(()))
    assert norm == pytest.approx(68**0.5)
    assert skipped == 0
    assert torch.cat([p.grad.flatten(), q.grad]).norm() == pytest.approx(1.0, rel=1e-5)


def test_a_skipped_step_leaves_moments_and_count():
    p = nn.Parameter(torch.ones(2, 2))
    optimizer = Optim(weight_decay=0.1).build([{"params": [p]}])
    p.grad = torch.ones(2, 2)
    optim.step(optimizer, rate=lambda _: 0.1, clip=1.0, loss=torch.zeros(()))
    value, kept = p.detach().clone(), {k: v.clone() for k, v in optimizer.state[p].items()}
    p.grad = torch.full((2, 2), torch.inf)
    _, skipped = optim.step(optimizer, rate=lambda _: 0.1, clip=1.0, loss=torch.zeros(()))
    assert skipped == 1
    assert torch.equal(p, value)
    assert all(torch.equal(kept[k], v) for k, v in optimizer.state[p].items())


def test_average_forgets_the_start_soon():
    assert [ema_decay(s, 0.9) for s in (0, 10, 1000)] == [0.1, 0.55, 0.9]


def test_average_is_its_formula():
    modules = nn.ModuleDict({"n": nn.BatchNorm1d(2)})
    average = ema.start(modules)
    with torch.no_grad():
        modules["n"].weight.fill_(3.0)
        modules["n"].num_batches_tracked.fill_(7)
    ema.update(average, modules, 0.75)
    assert average["n.weight"].tolist() == [1.5, 1.5]
    assert average["n.num_batches_tracked"] == 7
    with ema.in_place(average, modules):
        assert modules["n"].weight.tolist() == [1.5, 1.5]
        assert not modules["n"].training
    assert modules["n"].weight.tolist() == [3, 3]
    assert modules["n"].training
