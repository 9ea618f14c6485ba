"""The autoencoder's losses are what they are called, and it learns."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from tests.engine.toy import toy_run
from tween.engine import Optim, train
from tween.losses import charbonnier
from tween.models.stream.vae_task import VaeTask, VaeWeights, divergence, follow
from tween.nn.vae import SMALL, WanVAE

TINY = replace(SMALL, latent=8, width=8, decoder_width=8)


def texture(index: int, b: int = 2, t: int = 5, size: tuple[int, int] = (32, 48)):
    """A soft texture that moves two pixels to the left a frame: `b t 3 h w`."""
    h, w = size
    noise = torch.rand(b, 3, h // 8 + 1, w // 8 + 2, generator=torch.Generator().manual_seed(index))
    wide = F.interpolate(noise, scale_factor=8, mode="bilinear")
    return torch.stack([wide[..., :h, (2 * i) % 8 : (2 * i) % 8 + w] for i in range(t)], 1)


def task(config=TINY, **changes):
    torch.manual_seed(0)
    return VaeTask(WanVAE(config), **changes)


def test_terms():
    weights = VaeWeights(charbonnier=2.0, laplacian=0.0, motion=0.0, divergence=0.0)
    one, plain = task(weights=weights), task()
    frames = texture(0)
    torch.manual_seed(1)
    found = one.terms(frames)
    torch.manual_seed(1)
    wanted = plain.terms(frames)
    assert found.keys() == wanted.keys() == {"charbonnier", "laplacian", "motion", "divergence"}
    torch.testing.assert_close(found["charbonnier"], 2 * wanted["charbonnier"])
    assert found["laplacian"] == found["motion"] == found["divergence"] == 0
    assert all(value > 0 for value in wanted.values())
    assert "motion" not in plain.terms(frames[:, :1])


def test_the_end_of_a_long_clip_is_learned_as_part_of_it():
    one, clip = task(learn=5), texture(3, t=13)
    vae = one.modules["vae"]
    with torch.no_grad():
        for p in vae.parameters():
            p += 0.1 * torch.randn_like(p)
        vae.encoder[-1].weight[8:], vae.encoder[-1].bias[8:] = 0, -30  # no noise
        whole, _ = vae.render(vae.posterior(clip)[0])
        begun, _ = vae.render(vae.posterior(clip[:, :5])[0])
    end, begin = one.loss("main", clip, 1), one.loss("main", clip, 0)
    torch.testing.assert_close(end["charbonnier"], charbonnier(whole[:, 9:], clip[:, 9:]), atol=1e-5, rtol=0)
    torch.testing.assert_close(begin["charbonnier"], charbonnier(begun, clip[:, :5]), atol=1e-5, rtol=0)
    short = one.loss("main", clip[:, :5], 1)
    torch.testing.assert_close(short["charbonnier"], begin["charbonnier"], atol=1e-5, rtol=0)


def test_divergence_is_that_of_two_normals():
    mean, log_variance = torch.randn(2, 3, 4, 5, 6), torch.randn(2, 3, 4, 5, 6)
    wanted = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(divergence(mean, log_variance), wanted)
    assert divergence(torch.zeros(3), torch.zeros(3)) == 0


def test_every_weight_learns():
    one = task()
    for p in (
        one.modules.parameters()
    ):  # residual branches begin at zero, where half of their weights have no gradient
        p.data += 0.1 * torch.randn_like(p)
    sum(one.terms(texture(0)).values()).backward()
    still = [name for name, p in one.modules.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_normalisation_follows_the_batches():
    vae, g = WanVAE(replace(TINY, whiten=1.0)), torch.Generator().manual_seed(0)
    shift, size = torch.linspace(-3, 3, 8), torch.linspace(0.5, 4, 8)
    for _ in range(300):
        x = torch.randn(2, 3, 8, 6, 6, generator=g)
        follow(vae, x * size.view(-1, 1, 1) + shift.view(-1, 1, 1), 0.95)
    torch.testing.assert_close(vae.mean, shift, atol=0.25, rtol=0)
    torch.testing.assert_close(vae.std, size, atol=0, rtol=0.1)


def test_what_is_not_whitened_keeps_its_ratios():
    vae, size = WanVAE(replace(TINY, whiten=0.5)), torch.linspace(0.5, 4, 8)
    g = torch.Generator().manual_seed(0)
    follow(vae, torch.randn(2, 3, 8, 30, 30, generator=g) * size.view(-1, 1, 1), 0.0)
    torch.testing.assert_close(vae.std, size.square().mean().sqrt().expand(8), atol=0, rtol=0.05)


def test_it_learns(tmp_path):
    one = task(replace(TINY, linear=False), keep=0.8)  # with it there is little left to learn
    run = toy_run(
        tmp_path / "vae",
        task=one,
        batch=lambda index: texture(index % 2, b=1, size=(24, 32)),
        steps=40,
        optim=Optim(lr=4e-3, min_lr=1e-3, warmup=5),
        ema=0.0,
    )
    frames, vae = texture(1, size=(24, 32)), one.modules["vae"]

    @torch.no_grad()
    def error():
        latents, _ = vae.encode(frames)
        return latents, (vae.decode(latents)[0] - frames).abs().mean()

    _, before = error()
    assert train(run).skipped == 0
    latents, after = error()
    assert after < 0.65 * before
    assert latents.square().mean().sqrt() == pytest.approx(1, abs=0.35)
