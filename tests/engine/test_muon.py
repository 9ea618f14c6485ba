"""Muon: singular values, PyTorch's own as oracle, convolutions, skipped steps, resuming, and AdamW beside it."""

import pytest
import torch
from torch import nn

from tests.engine.toy import Toy, toy_run
from tween.core import TweenError
from tween.engine import Optim, optim, train
from tween.engine.checkpoint import read
from tween.engine.muon import check, orthogonal

ALL = {"rate": lambda _: 0.02, "clip": 1e9, "loss": torch.zeros(())}


@pytest.mark.parametrize("shape", [(8, 8), (5, 40), (40, 5), (64, 27)])
def test_singular_values_are_about_one(shape):
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    made = orthogonal(g)
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.4
    assert values.max() < 1.6
    u, _, v = torch.linalg.svd(g, full_matrices=False)
    assert torch.einsum("ij,ij->", made, u @ v) / (made.norm() * (u @ v).norm()) > 0.95


def built(*params, muon=True, decay=0.1):
    groups = [
        {"params": [p for p in params if p.ndim > 1], "muon": True},
        {"params": [p for p in params if p.ndim < 2]},
    ]
    return Optim(lr=0.02, betas=(0.9, 0.95), weight_decay=decay, muon=muon).build(groups)


def test_it_is_pytorchs_muon_and_adamw():
    g = torch.Generator().manual_seed(0)
    start = torch.randn(6, 10, generator=g), torch.randn(10, generator=g)
    mine, theirs = ([nn.Parameter(x.clone()) for x in start] for _ in range(2))
    one = built(*mine)
    muon = torch.optim.Muon(
        [theirs[0]], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.AdamW([theirs[1]], lr=0.02, betas=(0.9, 0.95), weight_decay=0.0)
    for _ in range(4):
        for p, q, x in zip(mine, theirs, start, strict=True):
            p.grad = torch.randn(x.shape, generator=g)
            q.grad = p.grad.clone()
        optim.step(one, **ALL)
        muon.step()
        adam.step()
    torch.testing.assert_close(mine[0], theirs[0], atol=2e-3, rtol=0)  # theirs works in bf16
    torch.testing.assert_close(mine[1], theirs[1])


def test_a_convolution_moves_as_a_matrix_by_the_size_of_an_adamw_step():
    p = nn.Parameter(torch.zeros(8, 4, 3, 3))
    one = built(p, decay=0.0)
    p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
    optim.step(one, **ALL)
    assert float(p.detach().square().mean().sqrt()) == pytest.approx(0.2 * 0.02, rel=0.3)
    assert p.grad is not None


def test_a_step_that_is_not_finite_changes_nothing():
    p, q = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(4))
    one = built(p, q)
    p.grad, q.grad = torch.randn(3, 4), torch.randn(4)
    optim.step(one, **ALL)
    kept = p.detach().clone(), q.detach().clone(), one.state[p]["exp_avg"].clone()
    p.grad = torch.full((3, 4), torch.inf)
    _, skipped = optim.step(one, **ALL)
    assert skipped == 1
    for now, then in zip((p, q, one.state[p]["exp_avg"]), kept, strict=True):
        assert torch.equal(now, then)


def test_a_mark_is_only_heard_when_it_is_asked_for():
    p = nn.Parameter(torch.zeros(3, 4))
    assert type(built(p, muon=False)) is torch.optim.AdamW
    assert not built(p, muon=False).param_groups[0]["muon"]


class Marked(Toy):
    def params(self):
        a, b = self.modules["a"], self.modules["b"]
        return {"main": [{"params": [b.weight], "muon": True}, {"params": [*a.parameters(), b.bias]}]}


def test_stopped_and_resumed_is_as_if_never_stopped(tmp_path):
    how = {"optim": Optim(lr=1e-2, min_lr=1e-3, warmup=3, muon=True), "log_interval": 5}
    train(toy_run(tmp_path / "whole", task=Marked(), **how))
    train(toy_run(tmp_path / "parts", task=Marked(), **how), until=5)
    train(toy_run(tmp_path / "parts", task=Marked(), **how))
    whole, parts = (read(tmp_path / name / "last.safetensors")[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert "optim/main/b.weight/exp_avg" in whole
    assert "optim/main/b.weight/exp_avg_sq" not in whole
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


def test_shards_are_refused_in_a_sentence():
    class Shard(nn.Parameter):
        to_local = None

    with pytest.raises(TweenError, match="leave out --sharded"):
        check([Shard(torch.zeros(2, 2))])
