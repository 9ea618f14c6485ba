"""Going on from real frames is what a session does that made those frames itself."""

from fractions import Fraction

import pytest
import torch

from tests.models.stream.toy import ACTION, config
from tween.core import TweenError
from tween.models.stream.actions import Actions
from tween.models.stream.filler import StreamFiller
from tween.models.stream.follow import follow
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling
from tween.nn.vae import WanConfig, WanVAE

VAE = WanConfig(
    latent=2, width=4, decoder_width=4, multipliers=(1, 1, 1), blocks=1, time=(True, True), patch=2
)
FEW = Sampling(steps=(1000, 500), shift=2.0)


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    net = StreamNet(config(action=ACTION)).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return net, WanVAE(VAE).eval()


def told(frames, b=2):
    g = torch.Generator().manual_seed(3)
    return Actions(
        (torch.rand(b, frames, 4, generator=g) < 0.3).float(), 0.1 * torch.randn(b, frames, 2, generator=g)
    )


def test_from_one_picture_it_is_a_session(parts):
    net, vae = parts
    picture, actions = torch.rand(2, 1, 3, 32, 32), told(22)
    made = follow(net, vae, picture, actions, frames=20, sampling=FEW, seed=5)
    filler = StreamFiller(net, vae, FEW)
    state = filler.begin(picture[:, 0].shape, seed=5, device="cpu", dtype=torch.float32)
    walked = []
    for _ in range(2):
        shown = filler.frames(state)
        own = actions[shown.start : shown.stop]
        frames, state = filler.fill(state, picture, [Fraction(0)], shown, own)
        walked.append(frames)
    assert torch.equal(made, torch.cat(walked, 1)[:, 1:21])


def test_after_blocks_it_sees_them_and_hears_what_comes(parts):
    net, vae = parts
    seen, actions = torch.rand(2, 21, 3, 32, 32), told(33)
    made = follow(net, vae, seen, actions, frames=12, sampling=FEW)
    assert made.shape == (2, 12, 3, 32, 32)
    assert (follow(net, vae, seen.flip(1), actions, frames=12, sampling=FEW) - made).abs().max() > 1e-4
    late = Actions(actions.keys.clone(), actions.mouse)
    late.keys[:, 21:32] = 1 - late.keys[:, 21:32]
    assert not torch.equal(follow(net, vae, seen, late, frames=12, sampling=FEW), made)
    late = Actions(actions.keys.clone(), actions.mouse)
    late.keys[:, 32:] = 1 - late.keys[:, 32:]  # leads out of the block
    assert torch.equal(follow(net, vae, seen, late, frames=12, sampling=FEW), made)


def test_where_actions_end_the_last_is_held(parts):
    seen, actions = torch.rand(1, 9, 3, 32, 32), told(15, b=1)
    held = Actions(*(torch.cat((x, x[:, -1:].expand(-1, 6, -1)), 1) for x in (actions.keys, actions.mouse)))
    short, long = (follow(*parts, seen, a, frames=12, sampling=FEW) for a in (actions, held))
    assert torch.equal(short, long)


def test_frames_are_whole_blocks(parts):
    with pytest.raises(TweenError, match="whole blocks of 3 latents, are gone on from, but got 13"):
        follow(*parts, torch.rand(1, 13, 3, 32, 32), told(25, b=1), frames=12, sampling=FEW)
