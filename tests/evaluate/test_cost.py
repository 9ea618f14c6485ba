"""Counts against torch's own counter where it counts, and against sums made by hand where it does not."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from tests.models.interp.toy import TOY, TOY1, frames
from tween.evaluate.cost import cost, parameters
from tween.models.interp.flow import FlowEstimator
from tween.models.interp.net import HybridNet
from tween.nn.lgs import GatedWindowAttention
from tween.nn.mamba2 import Mamba2Branch
from tween.ops.warp import backward_warp


def torchs(net, *inputs) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(*inputs)
    return counter.get_total_flops()


def test_convolutions_are_torchs():
    i0, i1, t = frames(2, 32, 32)
    net = FlowEstimator((8, 8, 8))
    assert cost(net, i0, i1, t).flops["convolution"] == torchs(net, i0, i1, t)


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_grouped_and_transposed_convolutions_are_torchs(kind, groups):
    net = nn.Sequential(kind(8, 12, 4, stride=2, padding=1, groups=groups))
    x = torch.rand(3, 8, 10, 14)
    assert cost(net, x).flops["convolution"] == torchs(net, x)


def test_linear_layers_are_torchs():
    net = nn.Sequential(nn.Linear(6, 10), nn.GELU(), nn.Linear(10, 4, bias=False))
    x = torch.rand(5, 7, 6)
    found = cost(net, x)
    assert found.flops["matmul"] == torchs(net, x) == 2 * 35 * (6 * 10 + 10 * 4)
    assert found.flops["elementwise"] == 35 * 10
    assert found.parameters == {"0": 70, "2": 40}
    assert found.flops_by_part == {"0": 2 * 35 * 60, "1": 350, "2": 2 * 35 * 40}


def test_scan_by_hand():
    """A token costs a head 2 Q P within its chunk and 4 N P for the state, and all heads share 2 Q N for C B^T."""
    d, N, P, Q = 16, 8, 16, 32
    branch = nn.Sequential(Mamba2Branch(d, d_state=N, headdim=P, chunk=Q))
    x = torch.rand(2, 8, 12, 2, d)
    heads, tokens = 2 * d // P, 2 * 8 * 12 * 2
    assert (8 * 12 * 2) % Q == 0
    found = cost(branch, x)
    assert found.flops["ssd"] == 4 * tokens * (2 * Q * N + heads * (2 * Q * P + 4 * N * P))
    assert found.flops["matmul"] == 2 * tokens * (d * (4 * d + 2 * N + heads) + 2 * d * d)


def test_attention_by_hand():
    net = nn.Sequential(GatedWindowAttention(32, 2, 4, gate="head"))
    found = cost(net, torch.rand(3, 8, 8, 2, 32))
    tokens = 3 * 64 * 2
    assert found.flops["attention"] == 2 * tokens * 16 * 2 * 32
    assert found.flops["matmul"] == 2 * tokens * (32 * 96 + 32 * 2 + 32 * 32)


class Warp(nn.Module):
    def forward(self, image, flow):
        return backward_warp(image, flow)


def test_warp_is_counted():
    assert cost(Warp(), torch.rand(2, 3, 8, 8), torch.rand(2, 2, 8, 8)).flops["warp"] == 7 * 2 * 3 * 64


class Chain(nn.Module):
    """Three tensors of 4 MiB in a row, two of them alive at once."""

    def forward(self, x):
        y = x.expand(1024, 1024).clone()
        y = y + 1
        return (y * 2).sum()


def test_peak_is_what_was_alive_at_once():
    peak = cost(Chain(), torch.rand(1)).peak_bytes
    assert 2 * 2**22 <= peak < 2 * 2**22 + 64


def test_weights_are_part_of_the_peak_and_half_of_it_in_half_precision():
    net, x = nn.Sequential(nn.Linear(1000, 1000)), torch.rand(1, 1000)
    full, half = cost(net, x).peak_bytes, cost(net.half(), x.half()).peak_bytes
    assert 4 * 1_001_000 <= full < 4 * 1_004_000
    assert half * 2 == full


def test_every_part_of_a_network_is_found_and_the_network_is_left_alone():
    i0, i1, t = frames()
    torch.manual_seed(0)
    net = HybridNet(TOY).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    found = cost(net, i0, i1, t)
    assert set(parameters(net)) == {"backbone", "flow", "context", "refine"} == set(found.parameters)
    assert sum(found.parameters.values()) == sum(p.numel() for p in net.parameters())
    assert sum(found.flops.values()) == sum(found.flops_by_part.values())
    assert all(found.flops_by_part[part] > 0 for part in found.parameters)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.isfinite(net(i0, i1, t).prediction).all()  # the scan is itself again


def test_steps_of_a_pair_add_up():
    """Two frames are encoded, one pair is made, one time is filled: nothing else happens."""
    found = cost(HybridNet(TOY), *frames(1))
    steps = found.flops_by_step
    assert 2 * steps["encode"] + steps["pair"] + steps["at"] == sum(found.flops.values())
    assert cost(nn.Sequential(nn.Linear(4, 4)), torch.rand(2, 4)).flops_by_step == {}


def test_cost_grows_with_the_pixels():
    small, large = (cost(HybridNet(TOY1), *frames(1, n, n)) for n in (32, 64))
    assert sum(large.flops.values()) == pytest.approx(4 * sum(small.flops.values()), rel=0.02)
    assert large.peak_bytes > 3 * small.peak_bytes


def test_counting_does_not_depend_on_the_numbers():
    net = nn.Sequential(nn.Linear(4, 4))
    with torch.device("meta"):
        hollow = nn.Sequential(nn.Linear(4, 4))
    assert cost(net, torch.rand(2, 4)) == cost(hollow, torch.empty(2, 4, device="meta"))
    assert F.linear(torch.ones(1, 4), net[0].weight).isfinite().all()
