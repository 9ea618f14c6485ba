"""Mamba2 started from attention: what is copied where, in plans A, B and C."""

from dataclasses import replace

import pytest
import torch

from tests.models.interp.toy import TOY1, frames
from tween.core import TweenError
from tween.models.interp.config import with_block
from tween.models.interp.matvlm import init_from_attention, warm_start
from tween.models.interp.net import HybridNet
from tween.nn.lgs import BlockConfig, GatedWindowAttention, mamba_branch

D, HEADS = 32, 2
PLANS = {"A": {}, "B": {"mamba_layout": "matched"}, "C": {"mamba_layout": "d_xb"}}


def started(plan: str, **fields):
    torch.manual_seed(0)
    mamba, attention = (
        mamba_branch(D, BlockConfig(**PLANS[plan], **fields)),
        GatedWindowAttention(D, HEADS, 4),
    )
    return mamba, attention, init_from_attention(mamba, attention)


def rows(mamba):
    return mamba.in_proj.weight[mamba.d_inner : -mamba.heads].split(mamba.widths)


def test_plan_a_copies_what_fits():
    mamba, attention, copied = started("A")
    q, k, v = attention.qkv.weight.split(D)
    x, b, c = rows(mamba)
    assert copied == 4 * D * D
    assert torch.equal(x[:D], v)
    assert torch.equal(b[:D], k)
    assert torch.equal(c[:D], q)
    assert torch.equal(mamba.out_proj.weight[:, :D], attention.proj.weight)


def test_plan_a_loses_heads_where_the_state_is_narrower():
    *_, copied = started("A", d_state=16)
    assert copied == (2 * D + 2 * 16) * D


def test_plan_b_fits_exactly():
    mamba, _, copied = started("B")
    assert mamba.widths == (D, D, D)
    assert mamba.out_proj.weight.shape == (D, D)
    assert copied == 4 * D * D


@pytest.mark.parametrize("plan", ["B", "C"])
def test_without_decay_plans_b_and_c_are_linear_attention(plan):
    """With dt = 1, A = 0, D = 0 and no convolution, the scan is sum over the past of (q . k) v, head by head."""
    mamba, attention, _ = started(plan)
    n = torch.randn(1, 9, D)
    q, k, v = (n @ w.T for w in attention.qkv.weight.split(D))
    q, k, v = (t.unflatten(-1, (HEADS, -1)) for t in (q, k, v))
    scores = torch.einsum("blhp,bmhp->bhlm", q, k).tril()
    want = torch.einsum("bhlm,bmhp->blhp", scores, v).flatten(2) @ attention.proj.weight.T

    from tween.nn.mamba2 import repeat_heads
    from tween.ops.ssd import ssd

    x, b, c = (n @ r.T for r in rows(mamba))
    value = repeat_heads(x.unflatten(-1, (-1, mamba.headdim)), mamba.heads)
    c = c.unflatten(-1, (-1, mamba.d_state))
    b = repeat_heads(b.unflatten(-1, (-1, mamba.d_state)), c.shape[2])
    y = ssd(value, torch.ones(1, 9, mamba.heads), torch.full((mamba.heads,), -1e-9), b, c)
    torch.testing.assert_close(mamba.out_proj(y.flatten(2)), want, atol=1e-4, rtol=1e-4)


def test_warm_start_takes_a_trained_attention_network():
    attention_net = HybridNet(with_block(TOY1, backbone="gated_attn_only"))
    net = HybridNet(TOY1)
    assert warm_start(net, attention_net.state_dict()) > 0
    theirs, ours = attention_net.backbone.levels[0][0], net.backbone.levels[0][0]
    assert torch.equal(ours.branches[1].qkv.weight, theirs.branches[0].qkv.weight)
    assert torch.equal(ours.norm2.weight, theirs.norm2.weight)
    assert torch.equal(net.refine.last[1].weight, attention_net.refine.last[1].weight)
    d = 16
    values = theirs.branches[0].qkv.weight[2 * d :]
    assert torch.equal(rows(ours.branches[0])[0][:d], values)
    i0, i1, t = frames()
    assert torch.isfinite(net(i0, i1, t).prediction).all()


@pytest.mark.parametrize(
    ("net", "weights"),
    [
        (TOY1, with_block(TOY1, backbone="mamba2_only")),
        (TOY1, replace(with_block(TOY1, backbone="gated_attn_only"), width=32)),
        (with_block(TOY1, backbone="mamba2_only"), with_block(TOY1, backbone="gated_attn_only")),
    ],
)
def test_warm_start_refuses_weights_of_another_network(net, weights):
    with pytest.raises(TweenError):
        warm_start(HybridNet(net), HybridNet(weights).state_dict())
