"""The boolean function as a table and as flex_attention's mask; attention with both."""

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from tests.models.stream.toy import RULES
from tween.core import TweenError
from tween.models.stream.config import Rule
from tween.models.stream.masks import sees, whole
from tween.models.stream.net import attention
from tween.models.stream.net.attention import angles, attend, block_mask, lens, rotated, table

CPU = torch.device("cpu")
TOKENS = 6


def by_hand(n: int, rule: Rule, taught: bool):
    """Which latents see which, said another way; sinks seen through copies count as themselves."""
    rows = [(i, noisy) for noisy in ([False, True] if taught else [False]) for i in range(n)]
    out = torch.zeros(len(rows), len(rows), dtype=torch.bool)
    for a, (i, asks) in enumerate(rows):
        end = (i // rule.block + 1) * rule.block
        visible = (
            set(range(end))
            if end <= rule.window
            else {*range(rule.sink), *range(end - rule.window + rule.sink, end)}
        )
        for b, (j, shows) in enumerate(rows):
            own = i // rule.block == j // rule.block
            out[a, b] = j in visible and shows == (asks and own)
    return out


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_masks_say_what_they_should(rule, taught):
    sight = whole(18, rule, CPU, taught=taught)
    mask = sees(sight.query.at((slice(None), None)), sight.key.at((None,)), rule)
    n = len(sight.asks)
    source = torch.arange(n) if sight.source is None else sight.source
    folded = torch.zeros(n, n, dtype=torch.long).index_add_(1, source, mask.long())
    assert folded.max() == 1
    assert torch.equal(folded.bool(), by_hand(18, rule, taught))


@pytest.mark.filterwarnings("ignore:.*flex_attention called")
@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize(
    "rule", [Rule(), Rule(window=4), Rule(window=6, sink=3), Rule(block=1, window=2)], ids=str
)
def test_flex_attention_and_the_table_are_one_mask(rule, taught):
    """On a CPU flex_attention runs forwards and as plain operations; the mask is what a GPU compiles."""
    sight = whole(12, rule, CPU, taught=taught)
    g = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(2, 2, len(x) * TOKENS, 8, generator=g) for x in (sight.asks, sight.shows, sight.shows)
    )
    want = F.scaled_dot_product_attention(q, k, v, attn_mask=table(sight, rule, TOKENS, TOKENS))
    got = flex_attention(q, k, v, block_mask=block_mask(sight, rule, TOKENS))
    torch.testing.assert_close(got, want)
    free = F.scaled_dot_product_attention(q, k, v)
    assert (free - want).abs().max() > 0.1


@pytest.mark.parametrize(
    ("device", "size", "kind"),
    [("cuda", 16, BlockMask), ("cuda", 12, torch.Tensor), ("cpu", 64, torch.Tensor)],
)
def test_narrow_heads_and_cpus_look_through_a_table(device, size, kind, monkeypatch):
    """flex_attention refuses heads narrower than 16 on a GPU; the choice is made here as if there were one."""
    choice = attention.fused(torch.device(device), size)
    monkeypatch.setattr(attention, "fused", lambda *asked: choice)
    mask = lens.__wrapped__(whole(6, Rule(), CPU), Rule(), size, (2, 3)).mask
    assert isinstance(mask, kind)


@pytest.mark.gpu
@pytest.mark.parametrize("rule", [Rule(), Rule(window=6, sink=3), Rule(window=15)], ids=str)
def test_compiled_on_a_gpu_it_is_the_same(rule):
    device, grid = torch.device("cuda"), (6, 8)
    sight, on_cpu = whole(21, rule, device, taught=True), whole(21, rule, CPU, taught=True)
    q, k, v = (torch.randn(2, 42, 48, 2, 32, device=device, requires_grad=True) for _ in range(3))
    got = attend(q, k, v, lens(sight, rule, 32, grid))
    q2, k2, v2 = (x.detach().cpu().requires_grad_() for x in (q, k, v))
    want = attend(q2, k2, v2, lens(on_cpu, rule, 32, grid))
    torch.testing.assert_close(got.cpu(), want, atol=2e-3, rtol=2e-3)
    for y in (got, want):
        y.square().sum().backward()
    for a, b in ((q, q2), (k, k2), (v, v2)):
        torch.testing.assert_close(a.grad.cpu(), b.grad, atol=5e-3, rtol=5e-3)


def test_rotation_knows_only_how_far_apart():
    g = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 4, 6, 1, 24, generator=g) for _ in range(2))
    near, far = (
        [rotated(x, angles(torch.arange(4) + by, 24, (2, 3))).flatten(1, 3) for x in (q, k)]
        for by in (0, 900)
    )
    torch.testing.assert_close(near[0] @ near[1].mT, far[0] @ far[1].mT, atol=2e-3, rtol=0)
    assert (near[0] @ near[1].mT - q.flatten(1, 3) @ k.flatten(1, 3).mT).abs().max() > 1
    for x, turned in ((q, near[0]), (k, near[1])):
        torch.testing.assert_close(x.flatten(1, 3).norm(dim=-1), turned.norm(dim=-1))


@pytest.mark.parametrize("fields", [{"window": 2}, {"window": 5, "sink": 3}, {"block": 0}, {"sink": -1}])
def test_windows_too_small_are_refused(fields):
    with pytest.raises(TweenError, match="holds at least the own block and the sink"):
        Rule(**fields)
