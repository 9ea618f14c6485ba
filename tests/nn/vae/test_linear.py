"""The linear part of an autoencoder: principal components of its cells, streamed like the rest."""

from dataclasses import replace

import pytest
import torch

from tween.nn.vae import SMALL, WanVAE
from tween.nn.vae.linear import Linear

SIDE, FRAMES, LATENT = 4, 2, 6


def clips(seed, t=9, b=3, rank=4):
    """Frames `t b 3 8 12` whose cells, but the first's, are of so many components and nothing else."""
    g = torch.Generator().manual_seed(seed)
    linear = Linear(rank, frames=FRAMES, side=SIDE)
    basis = torch.linalg.qr(
        torch.randn(3 * FRAMES * SIDE**2, rank, generator=torch.Generator().manual_seed(9))
    )[0]
    linear.basis.copy_(basis.T)
    latents = torch.randn((t + 1) // FRAMES, b, rank, 2, 3, generator=g) * torch.tensor([4.0, 3, 2, 1]).view(
        -1, 1, 1
    )
    return 0.3 + linear.decode(latents, first=True)


@pytest.fixture
def measured():
    linear = Linear(LATENT, frames=FRAMES, side=SIDE)
    many = (clips(seed)[1:] for seed in range(40))
    linear.measure(linear.cells(x, first=False).movedim(2, -1).flatten(0, 3) for x in many)
    return linear


def test_before_it_is_measured_it_gives_nothing():
    linear = Linear(LATENT, frames=FRAMES, side=SIDE)
    x = torch.rand(5, 1, 3, 8, 12)
    assert linear.encode(x, first=True).abs().max() == 0
    assert linear.decode(torch.rand(3, 1, LATENT, 2, 3), first=True).abs().max() == 0


def test_what_has_few_components_comes_back_and_latents_are_normal(measured):
    x = clips(100)[1:]
    latents = measured.encode(x, first=False)
    assert latents.shape == (4, 3, LATENT, 2, 3)
    torch.testing.assert_close(measured.decode(latents, first=False), x, atol=1e-3, rtol=0)
    many = measured.encode(torch.cat([clips(seed)[1:] for seed in range(40)], 1), first=False)
    seen = many[:, :, :4].movedim(2, 0).flatten(1)
    torch.testing.assert_close(seen @ seen.T / seen.shape[1], torch.eye(4), atol=1e-2, rtol=0)
    assert seen.mean(1).abs().max() < 1e-2


def test_components_are_ordered_and_at_right_angles(measured):
    assert (measured.spread.diff() <= 0).all()
    torch.testing.assert_close(measured.basis @ measured.basis.T, torch.eye(LATENT), atol=1e-4, rtol=0)


@pytest.mark.parametrize("whiten", [0.0, 0.5])
def test_less_whitened_they_keep_their_ratios_and_give_back_the_same(measured, whiten):
    linear = Linear(LATENT, frames=FRAMES, side=SIDE, whiten=whiten)
    linear.measure(
        linear.cells(clips(seed)[1:], first=False).movedim(2, -1).flatten(0, 3) for seed in range(40)
    )
    many = torch.cat([clips(seed)[1:] for seed in range(40)], 1)
    deviation = linear.encode(many, first=False).movedim(2, 0).flatten(1).square().mean(1).sqrt()[:4]
    want = measured.spread[:4] ** (1 - whiten)
    torch.testing.assert_close(deviation / deviation[0], want / want[0], atol=1e-2, rtol=1e-2)
    assert linear.encode(many, first=False).square().mean().sqrt() == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(
        linear.decode(linear.encode(many, first=False), first=False), many, atol=1e-3, rtol=0
    )


def test_the_first_frame_stands_for_a_whole_latent(measured):
    """A clip that stands still comes back as it would in the middle of a stream."""
    still = clips(5)[3:4].expand(1 + FRAMES, -1, -1, -1, -1)
    begun, going = measured.encode(still, first=True), measured.encode(still[1:], first=False)
    torch.testing.assert_close(begun[:1], going)
    frames = measured.decode(begun, first=True)
    assert frames.shape == still.shape
    torch.testing.assert_close(frames[0], measured.decode(going, first=False).mean(0), atol=1e-5, rtol=1e-5)


def test_an_autoencoder_begins_as_its_linear_part():
    torch.manual_seed(0)
    net = WanVAE(replace(SMALL, latent=8, width=8, decoder_width=8)).eval()
    frames = torch.rand(2, 9, 3, 16, 24)
    x = 2 * frames.transpose(0, 1) - 1
    cells = torch.randn(4000, net.linear.basis.shape[1])
    net.linear.measure([cells])
    with torch.no_grad():
        mean, log_variance, _ = net.posterior(frames)
        made, _ = net.render(mean)
    latents = net.linear.encode(x, first=True)
    torch.testing.assert_close(mean, latents.transpose(0, 1))
    assert (log_variance == -6).all()
    wanted = net.linear.decode(latents, first=True).transpose(0, 1) / 2 + 0.5
    torch.testing.assert_close(made, wanted)
    bare = WanVAE(replace(net.config, linear=False))
    assert bare.linear is None
    assert sum(p.numel() for p in bare.parameters()) == sum(p.numel() for p in net.parameters())
