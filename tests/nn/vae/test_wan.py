"""However a clip is cut, its parts come out as the whole does; what is remembered is a value, and small."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.core import TweenError, clone
from tween.nn.vae import SMALL, WAN, WanConfig, WanVAE, cache_bytes
from tween.nn.vae.layers import tensors

TINY = replace(WAN, latent=4, width=4, decoder_width=4)  # Wan's plan
TINY_SMALL = replace(SMALL, latent=4, width=4, decoder_width=4)
CONFIGS = [TINY, TINY_SMALL, replace(TINY_SMALL, time=(False, True), width=6)]
H, W, N = 16, 24, 6


@cache
def vae(config=TINY, dtype=torch.float32):
    torch.manual_seed(0)
    net = WanVAE(config).eval().requires_grad_(False)
    for p in net.parameters():  # residual branches begin at zero
        p += 0.1 * torch.randn_like(p)
    net.to(dtype).mean.normal_()
    net.std.uniform_(0.5, 2)
    return net


def frames_of(n, config=TINY, b=2, dtype=torch.float32):
    return torch.rand(b, 1 + config.frames * (n - 1), 3, H, W, dtype=dtype)


def latents_of(n, config=TINY, b=2, dtype=torch.float32):
    return torch.randn(b, n, config.latent, H // config.pixels, W // config.pixels, dtype=dtype)


def in_parts(step, x, ends):
    """`step` over x cut at `ends`, and the last cache."""
    made, left = [], None
    for start, end in pairwise((0, *ends, x.shape[1])):
        part, left = step(x[:, start:end], left)
        made.append(part)
    return torch.cat(made, 1), left


cuts = st.sets(st.integers(1, N - 1)).map(sorted)


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=6, deadline=None)
@given(ends=cuts)
def test_decoding_in_parts_is_decoding_at_once_bit_for_bit(config, ends):
    net, latents = vae(config), latents_of(N, config)
    whole, left = net.decode(latents)
    parts, last = in_parts(net.decode, latents, ends)
    assert torch.equal(parts, whole)
    assert all(torch.equal(a, b) for a, b in zip(tensors(left), tensors(last), strict=True))


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=6, deadline=None)
@given(ends=cuts)
def test_encoding_in_parts_is_encoding_at_once_bit_for_bit(config, ends):
    net, frames = vae(config), frames_of(N, config)
    whole, _ = net.encode(frames)
    parts, _ = in_parts(net.encode, frames, [1 + config.frames * (end - 1) for end in ends])
    assert torch.equal(parts, whole)


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=5, deadline=None)
@given(ends=cuts)
def test_whole_chunks_as_trained_are_the_latents_one_by_one(config, ends):
    net, latents = vae(config, torch.float64), latents_of(N, config, dtype=torch.float64)
    parts, _ = in_parts(net.render, latents, ends)
    raw = (latents - net.mean.view(-1, 1, 1)) / net.std.view(-1, 1, 1)
    torch.testing.assert_close(parts.clamp(0, 1), net.decode(raw)[0], atol=1e-12, rtol=0)
    frames = frames_of(N, config, dtype=torch.float64)
    mean = net.posterior(frames)[0]
    torch.testing.assert_close(
        (mean - net.mean.view(-1, 1, 1)) / net.std.view(-1, 1, 1), net.encode(frames)[0], atol=1e-12, rtol=0
    )


def test_blocks_of_three_latents_are_nine_frames_and_then_twelve():
    net, latents = vae(), latents_of(9, b=1)
    made, left, counts = [], None, []
    for block in latents.split(3, 1):
        frames, left = net.decode(block, left)
        counts.append(frames.shape[1])
        made.append(frames)
    assert counts == [9, 12, 12]
    assert torch.equal(torch.cat(made, 1), net.decode(latents)[0])
    assert [net.decode(block)[0].shape[1] for block in latents.split(3, 1)] == [9, 9, 9]  # a new clip each


@settings(max_examples=6, deadline=None)
@given(at=st.integers(1, N - 1))
def test_nothing_looks_ahead(at):
    net, latents, frames = vae(), latents_of(N, b=1), frames_of(N, b=1)
    other = latents.clone()
    other[:, at:] += 1
    first = 1 + 4 * (at - 1)
    a, b = net.decode(latents)[0], net.decode(other)[0]
    assert torch.equal(a[:, :first], b[:, :first])
    assert not torch.equal(a[:, first : first + 4], b[:, first : first + 4])
    changed = frames.clone()
    changed[:, first:] = 1 - changed[:, first:]
    a, b = net.encode(frames)[0], net.encode(changed)[0]
    assert torch.equal(a[:, :at], b[:, :at])
    assert not torch.equal(a[:, at], b[:, at])


def test_memory_is_flat_and_a_cache_is_left_as_it_was():
    net = vae()
    _, left = net.decode(latents_of(1))
    size, kept = cache_bytes(left), clone(left)
    one, after = net.decode(latents_of(1), left)
    assert cache_bytes(after) == size
    assert cache_bytes(net.decode(latents_of(5), left)[1]) == size
    assert all(torch.equal(a, b) for a, b in zip(tensors(left), tensors(kept), strict=True))
    assert len({t.untyped_storage().data_ptr() for t in tensors(after)}) == len(tensors(after))
    assert sum(t.untyped_storage().nbytes() for t in tensors(after)) == size
    assert one.shape == (2, 4, 3, H, W)


def test_a_cache_forks():
    net, then = vae(), latents_of(2)
    _, left = net.decode(latents_of(2))
    first, _ = net.decode(then, left)
    net.decode(latents_of(1), left)
    assert torch.equal(net.decode(then, left)[0], first)


def test_clips_of_a_batch_do_not_see_each_other():
    net, frames = vae(), frames_of(2, b=3)
    latents = net.encode(frames)[0]
    torch.testing.assert_close(net.encode(frames[1:2])[0], latents[1:2], atol=1e-5, rtol=0)
    torch.testing.assert_close(net.decode(latents[1:2])[0], net.decode(latents)[0][1:2], atol=1e-5, rtol=0)


def test_latents_are_normalised_by_channel():
    net, frames = vae(), frames_of(2)
    mean, _, _ = net.posterior(frames)
    wanted = (mean - net.mean.view(-1, 1, 1)) / net.std.view(-1, 1, 1)
    torch.testing.assert_close(net.encode(frames)[0], wanted, atol=1e-5, rtol=1e-5)


def test_frames_are_in_range_and_any_precision_is_taken():
    net = vae(TINY, torch.bfloat16)
    frames, _ = net.decode(50 * latents_of(2))
    assert frames.dtype == torch.bfloat16
    assert frames.min() == 0
    assert frames.max() == 1
    assert net.encode(frames_of(2))[0].dtype == torch.bfloat16


def remembered(net, h, w):
    """Bytes of the caches that decoding and encoding leave."""
    latent = torch.empty(1, 1, net.config.latent, h // 8, w // 8, device="meta")
    frame = torch.empty(1, 1, 3, h, w, device="meta")
    return cache_bytes(net.decode(latent)[1]), cache_bytes(net.encode(frame)[1])


def test_sizes():
    with torch.device("meta"):
        wan, small = WanVAE(WAN).bfloat16(), WanVAE(SMALL).bfloat16()
    assert remembered(wan, 352, 640) == (1_065_349_120, 632_586_240)
    assert remembered(small, 120, 160) == (4_531_200, 1_632_000)
    assert sum(p.numel() for p in wan.parameters()) == 126_892_531
    assert sum(p.numel() for p in small.parameters()) == 3_373_740
    assert (WAN.frames, WAN.pixels) == (SMALL.frames, SMALL.pixels) == (4, 8)
    assert small.encode(torch.empty(1, 9, 3, 120, 160, device="meta"))[0].shape == (1, 3, 32, 15, 20)


@pytest.mark.parametrize(
    ("shape", "streaming"),
    [
        ((1, 4, 3, 16, 16), False),
        ((1, 0, 3, 16, 16), True),
        ((1, 5, 3, 16, 16), True),
        ((1, 5, 3, 16, 20), False),
        ((1, 5, 4, 16, 16), False),
        ((5, 3, 16, 16), False),
    ],
)
def test_clips_that_do_not_fit(shape, streaming):
    left = vae().encode(torch.rand(1, 1, 3, 16, 16))[1] if streaming else None
    with pytest.raises(TweenError, match=r"t = (1 \+ )?4m .* but got"):
        vae().encode(torch.rand(shape), left)


@pytest.mark.parametrize("shape", [(1, 2, 5, 2, 3), (1, 0, 4, 2, 3), (2, 4, 2, 3)])
def test_latents_that_do_not_fit(shape):
    with pytest.raises(TweenError, match=r"latents \(b, n, 4, h, w\)"):
        vae().decode(torch.rand(shape))


@pytest.mark.parametrize("config", [TINY, TINY_SMALL])
def test_a_cache_of_another_clip(config):
    net = vae(config)
    left = net.decode(latents_of(1, config))[1]
    with pytest.raises(TweenError, match="begin without a cache"):
        net.decode(latents_of(1, config, b=1), left)
    with pytest.raises(TweenError, match="half of the autoencoder"):
        net.decode(latents_of(1, config), net.encode(frames_of(1, config))[1])
    left = net.encode(frames_of(1, config))[1]
    net.encode(frames_of(2, config)[:, 1:], left)
    with pytest.raises(TweenError, match="begin without a cache"):
        net.encode(torch.rand(2, 4, 3, H, W + 8), left)


def test_levels_and_strides_must_agree():
    with pytest.raises(TweenError, match="4 levels needs 3"):
        WanConfig(time=(True,))
