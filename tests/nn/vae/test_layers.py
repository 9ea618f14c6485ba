"""Layers against what they unroll: convolutions over three dimensions, PyTorch's own normalisation."""

import pytest
import torch
import torch.nn.functional as F

from tween.nn.vae.layers import Attention, Causal, Down, Norm, Up, cache_bytes, joined, tensors

CLOSE = {"atol": 1e-12, "rtol": 1e-12}


@pytest.fixture(autouse=True)
def double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def spelled(weight, c):
    """`out 3c k k` as the `out c 3 k k` of a convolution in three dimensions."""
    return weight.unflatten(1, (3, c)).transpose(1, 2)


def as_3d(x):
    """`t b c h w` as `b c t h w`, and back."""
    return x.permute(1, 2, 0, 3, 4)


def back(x):
    return x.permute(2, 0, 1, 3, 4)


@pytest.mark.parametrize("kernel", [1, 3])
def test_causal_is_a_convolution_over_time(kernel):
    layer, x = Causal(4, 6, kernel), torch.randn(5, 2, 4, 7, 8)
    side = kernel // 2
    padded = F.pad(as_3d(x), (side, side, side, side, 2, 0))
    y, past = layer(x)
    torch.testing.assert_close(y, back(F.conv3d(padded, spelled(layer.weight, 4), layer.bias)), **CLOSE)
    assert torch.equal(past, x[-2:])


def test_causal_may_halve_the_rate():
    layer, first, x = Causal(4, 4, 1, every=2), torch.randn(1, 2, 4, 3, 3), torch.randn(6, 2, 4, 3, 3)
    y, past = layer(x, first)
    whole = as_3d(torch.cat((first, x)))
    wanted = F.conv3d(whole, spelled(layer.weight, 4), layer.bias, stride=(2, 1, 1))
    torch.testing.assert_close(y, back(wanted), **CLOSE)
    assert torch.equal(past, x[-1:])


def test_a_past_outlives_nothing_but_itself():
    _, past = Causal(4, 4)(torch.randn(50, 1, 4, 3, 3))
    assert past.untyped_storage().nbytes() == past.nbytes


def test_norm():
    norm, x = Norm(5), torch.randn(2, 3, 5, 4, 4)
    norm.gamma.data.normal_()
    wanted = F.normalize(x, dim=2) * 5**0.5 * norm.gamma.view(-1, 1, 1)
    torch.testing.assert_close(norm(x), wanted, atol=1e-10, rtol=1e-10)
    assert norm(torch.zeros(1, 1, 5, 2, 2)).abs().max() == 0


def test_attention_looks_at_one_frame():
    layer, x = Attention(8), torch.randn(3, 2, 8, 4, 5)
    y, _ = layer(x)
    frame = x[1, 0].flatten(1)
    normed = F.normalize(frame, dim=0) * 8**0.5
    q, k, v = (layer.to_qkv.weight @ normed + layer.to_qkv.bias[:, None]).chunk(3)
    seen = v @ torch.softmax(q.T @ k / 8**0.5, -1).T
    wanted = frame + layer.proj.weight @ seen + layer.proj.bias[:, None]
    torch.testing.assert_close(y[1, 0], wanted.view(8, 4, 5), atol=1e-10, rtol=1e-10)


def test_rates():
    """The first frame stays one; the others are halved or doubled."""
    down, up = Down(4, time=True), Up(4, 2, time=True)
    x = torch.randn(9, 1, 4, 8, 8)
    y, past = down(x)
    assert y.shape == (5, 1, 4, 4, 4)
    assert down(x[:4], past)[0].shape == (2, 1, 4, 4, 4)
    z, past = up(y)
    assert z.shape == (9, 1, 2, 8, 8)
    assert up(y[:3], past)[0].shape == (6, 1, 2, 8, 8)
    assert Down(4, time=False)(x)[0].shape == (9, 1, 4, 4, 4)
    assert Up(4, 2, time=False)(x)[0].shape == (9, 1, 2, 16, 16)


def test_doubling_puts_both_halves_of_the_channels_in_a_row():
    up, x = Up(3, 3, time=True), torch.randn(4, 2, 3, 2, 2)
    both, _ = up.time_conv(x)
    y, _ = up.faster(x, x.new_zeros(2, 2, 3, 2, 2))
    assert torch.equal(y[0::2], both[:, :, :3])
    assert torch.equal(y[1::2], both[:, :, 3:])


def test_the_first_frame_is_seen_by_no_other_where_the_rate_doubles():
    up, x = Up(3, 3, time=True), torch.randn(3, 1, 3, 2, 2)
    other = x.clone()
    other[0] += 1
    assert torch.equal(up(x)[0][1:], up(other)[0][1:])


def test_channels_stay_last_in_memory():
    a, b = (torch.randn(n, 2, 5, 3, 4).flatten(0, 1).to(memory_format=torch.channels_last) for n in (2, 3))
    both = joined(a.unflatten(0, (2, 2)), b.unflatten(0, (3, 2)))
    assert both.shape == (5, 2, 5, 3, 4)
    assert both.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_what_is_in_a_cache():
    a, b, c = torch.zeros(2), torch.zeros(3), torch.zeros(4)
    assert [len(x) for x in tensors((a, None, (b, c), None))] == [2, 3, 4]
    assert cache_bytes((a, None, (b, c))) == 9 * 8
