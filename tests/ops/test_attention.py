"""Window attention against a dense one that is told, pair by pair, who may see whom."""

import pytest
import torch

from tween.core import TweenError
from tween.ops.attention import window_attention
from tween.ops.attention.reference import window_attention_dense


def qkv(b, h, w, heads=2, hd=4, dtype=torch.float64):
    make = torch.Generator().manual_seed(0)
    return torch.randn(3, b, h, w, heads, hd, generator=make, dtype=dtype).requires_grad_()


@pytest.mark.parametrize(("h", "w"), [(8, 8), (5, 11), (3, 2), (12, 8), (1, 1)])
@pytest.mark.parametrize(("window", "shift"), [(4, 0), (4, 2), (7, 3), (4, 1)])
@pytest.mark.parametrize("gated", [None, 1, 4])
def test_is_dense_attention_within_squares(h, w, window, shift, gated):
    q = qkv(2, h, w)
    gate = None if gated is None else torch.randn(2, h, w, 2, gated, dtype=torch.float64, requires_grad=True)
    leaves = [q] if gate is None else [q, gate]
    results = []
    for function in (window_attention, window_attention_dense):
        y = function(*q, window=window, shift=shift, gate=gate)
        assert y.shape == q.shape[1:]
        results.append((y, *torch.autograd.grad((y * y.detach().cos()).sum(), leaves)))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_what_is_outside_cannot_be_seen():
    """A token changes only the answers of its own square, with padding and shift at work."""
    q = qkv(1, 6, 9).detach()
    before = window_attention(*q, window=4, shift=2)
    q[1:, 0, 0, 0] += 10  # k and v of the corner: its shifted square is 2 x 2
    changed = (window_attention(*q, window=4, shift=2) != before).any(-1).any(-1)[0]
    assert changed[:2, :2].all()
    assert changed.sum() == 4


def test_no_mask_where_none_is_needed(monkeypatch):
    seen = []
    real = torch.nn.functional.scaled_dot_product_attention

    def watch(*args, attn_mask=None, **options):
        seen.append(attn_mask)
        return real(*args, attn_mask=attn_mask, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watch)
    window_attention(*qkv(1, 8, 8), window=4)
    window_attention(*qkv(1, 8, 9), window=4)
    assert seen[0] is None
    assert seen[1].dtype == torch.bool


def test_gradcheck():
    q = qkv(1, 3, 5, heads=1, hd=2)
    gate = torch.randn(1, 3, 5, 1, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q, g: window_attention(*q, window=2, shift=1, gate=g), (q, gate))


def test_half_precision():
    q = qkv(1, 9, 9, dtype=torch.float32).detach()
    y = window_attention(*q.bfloat16(), window=4, shift=2)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(
        y.float(), window_attention(*q.bfloat16().float(), window=4, shift=2), atol=2e-2, rtol=0
    )


def test_compiles_whole():
    q = qkv(1, 6, 9, dtype=torch.float32)
    compiled = torch.compile(window_attention, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*q, window=4, shift=2), window_attention(*q, window=4, shift=2))


def test_a_shift_beyond_the_window_is_told():
    with pytest.raises(TweenError, match="shift 4 for window 4"):
        window_attention(*qkv(1, 4, 4), window=4, shift=4)
