"""Hyper-connections: doubly stochastic, learning where they should, dead where the plan's numbers kill them."""

import pytest
import torch

from tween.nn.mhc import HyperConnection, sinkhorn_log


def streams(seed: int = 0) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 5, generator=g) for _ in range(3)]


def test_sinkhorn_columns_are_exact_and_rows_converge():
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    errors = []
    for iterations in (10, 100, 1000):
        m = sinkhorn_log(logits, iterations=iterations)
        assert (m > 0).all()
        torch.testing.assert_close(m.sum(0), torch.ones(3))
        errors.append((m.sum(1) - 1).abs().max().item())
    assert errors[0] >= errors[1] >= errors[2]
    assert errors[2] < 1e-2


def test_sinkhorn_is_the_plain_alternation():
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    m = torch.exp(logits / 0.5)
    for _ in range(10):
        m = m / m.sum(1, keepdim=True)
        m = m / m.sum(0, keepdim=True)
    torch.testing.assert_close(sinkhorn_log(logits, tau=0.5), m)


@pytest.mark.parametrize("seed", range(3))
def test_mhc_lite_is_doubly_stochastic_to_the_bit_it_can_be(seed):
    torch.manual_seed(seed)
    m = HyperConnection(3, kind="mhc_lite")
    torch.nn.init.normal_(m.res_logits, std=3)
    h = m.h_res()
    torch.testing.assert_close(h.sum(0), torch.ones(3))
    torch.testing.assert_close(h.sum(1), torch.ones(3))


def grads(m: HyperConnection) -> dict[str, float]:
    weight = torch.randn(2, 5, generator=torch.Generator().manual_seed(9))
    (m(streams(), torch.tanh) * weight).sum().backward()
    return {name: p.grad.abs().max().item() for name, p in m.named_parameters()}


@pytest.mark.parametrize("kind", ["mhc", "mhc_lite"])
def test_live_hyper_connection_learns_everywhere(kind):
    got = grads(HyperConnection(3, kind=kind))
    assert set(got) == {"res_logits", "pre_logits", "post_logits", "read"}
    assert min(got.values()) > 1e-5


def test_the_plans_h_res_is_dead():
    """exp(-8 / 0.05) is 0 in fp32: H_res is the identity, and moving its logits by 0.5 changes nothing."""
    m = HyperConnection(3, init="seed")
    assert torch.equal(m.h_res(), torch.eye(3))
    before = m(streams(), torch.tanh)
    assert grads(m)["res_logits"] == 0
    m.res_logits.data += 0.5 * torch.randn(3, 3)
    assert torch.equal(m(streams(), torch.tanh), before)


def test_a_plain_sum_of_streams_undoes_any_mixing():
    """The plan's other dead end: rows of H_res and entries of H_post sum to 1, so their sum forgets them."""
    m = HyperConnection(3, kind="mhc_lite", init="seed")
    before = m(streams(), torch.tanh)
    torch.nn.init.normal_(m.res_logits)
    torch.nn.init.normal_(m.post_logits)
    torch.testing.assert_close(m(streams(), torch.tanh), before)


@pytest.mark.parametrize("kind", ["mhc", "mhc_lite"])
def test_it_is_the_equation(kind):
    """read . (H_res^T x + H_post branch(H_pre x)), written out."""
    torch.manual_seed(0)
    m = HyperConnection(3, kind=kind)
    for p in m.parameters():
        torch.nn.init.normal_(p, std=0.1)
    x = torch.stack(streams())
    made = torch.tanh(torch.einsum("s,sbd->bd", m.pre_logits.softmax(0), x))
    mixed = torch.einsum("st,sbd->tbd", m.h_res(), x) + m.post_logits.softmax(0)[:, None, None] * made
    torch.testing.assert_close(m(streams(), torch.tanh), torch.einsum("t,tbd->bd", m.read, mixed))


def test_weight_decay_leaves_the_mixing_alone():
    assert all(p._no_weight_decay for p in HyperConnection(3).parameters())
