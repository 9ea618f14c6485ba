"""The door to Stable Diffusion's autoencoder: its own numbers, scaled, with gradient; and what is said without it."""

import builtins

import pytest
import torch

from tween.core import TweenError
from tween.nn.vae.sd import open_sd


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return open_sd(None)


def test_latents_are_its_own_scaled(vae):
    x = torch.rand(2, 3, 12, 8)
    z = vae.encode(x)
    assert z.shape == (2, vae.channels, 6, 4)
    own = vae.vae.encode(2 * x - 1).latent_dist.mean * 0.18215
    torch.testing.assert_close(z, own)
    torch.testing.assert_close(vae.decode(z), vae.vae.decode(own / 0.18215).sample / 2 + 0.5)


def test_a_gradient_reaches_latents_but_no_weight(vae):
    z = torch.randn(1, 4, 4, 4, requires_grad=True)
    vae.decode(z).square().sum().backward()
    assert z.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in vae.parameters())


def test_saved_and_opened(vae, tmp_path):
    vae.vae.save_pretrained(tmp_path)
    again = open_sd(tmp_path)
    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(again.encode(x), vae.encode(x))


def test_mistakes_are_sentences(vae, tmp_path, monkeypatch):
    with pytest.raises(TweenError, match="multiples of 2, but got 8x7"):
        vae.encode(torch.rand(1, 3, 7, 8))
    with pytest.raises(TweenError, match="should be a folder with diffusers' AutoencoderKL"):
        open_sd(tmp_path / "gone")
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("diffusers"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TweenError, match=r"tween-video\[vae\]"):
        open_sd(None)
