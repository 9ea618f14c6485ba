"""What a world owes with its autoencoder: frames that do not depend on how they were asked for, and no end."""

import pytest
import torch

from tests.counting import Work
from tests.models.stream.toy import actions
from tween.core import clone
from tween.models.stream.actions import Actions
from tween.models.stream.config import ActionConfig, Rule, StreamConfig
from tween.models.stream.filler import StreamFiller
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling, even
from tween.nn.vae import WanConfig, WanVAE

VAE = WanConfig(latent=4, width=8, decoder_width=8, blocks=1)


def world(rule=None, sampling=None, layers=2):
    """A network and an autoencoder as they are built, but for what is built as zero."""
    torch.manual_seed(0)
    config = StreamConfig(
        channels=4, patch=1, width=24, layers=layers, heads=2, ffn=32, rule=rule or Rule(window=4),
        action=ActionConfig(layers=1, width=16, heads=2, embed=4),
    )  # fmt: skip
    net = StreamNet(config)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.15 * torch.randn_like(p))
    return StreamFiller(net, WanVAE(VAE).eval(), sampling or Sampling())


def picture(b=1):
    return torch.rand(b, 1, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def begin(filler, known):
    return filler.begin(known[:, 0].shape, seed=3, device="cpu", dtype=torch.float32)


def play(filler, known, act, blocks, state=None):
    state, made = state or begin(filler, known), []
    for _ in range(blocks):
        frames = filler.frames(state)
        out, state = filler.fill(state, known, [0], frames, act[frames.start : frames.stop])
        made.append(out)
    return made, state


def test_blocks_are_one_video():
    """The autoencoder goes on from block to block: decoding all latents at once gives the same frames."""
    filler, known, act = world(), picture(2), actions(9)
    latents, decode = [], filler.codec.decode

    def noted(x, cache=None):
        latents.append(x)
        return decode(x, cache)

    filler.codec.decode = noted
    filler = StreamFiller(filler.net, filler.codec, filler.sampling)
    made, _ = play(filler, known, act, 3)
    assert [x.shape[1] for x in made] == [9, 12, 12]
    with torch.inference_mode():
        at_once, _ = decode(torch.cat(latents, 1))
    torch.testing.assert_close(torch.cat(made, 1), at_once, atol=1e-5, rtol=0)


@pytest.mark.parametrize("block", [1, 2])
def test_what_is_shown_is_never_taken_back(block):
    filler, known, act = world(), picture(), actions(9, b=1)
    base, _ = play(filler, known, act, 3)
    start = (9, 21)[block - 1]
    other = Actions(act.keys.clone(), act.mouse.clone())
    other.keys[:, start:] = 1 - other.keys[:, start:]
    made, _ = play(filler, known, other, 3)
    for b in range(3):
        assert torch.equal(made[b], base[b]) == (b < block)


def test_a_session_forks():
    filler, known, act = world(), picture(), actions(9, b=1)
    _, state = play(filler, known, act, 1)
    fork = clone(state)
    turned = Actions(1 - act.keys, -act.mouse)
    away, _ = play(filler, known, turned, 2, state)
    forked, _ = play(filler, known, act, 2, fork)
    straight, _ = play(filler, known, act, 3)
    assert all(torch.equal(a, b) for a, b in zip(forked, straight[1:], strict=True))
    assert not torch.equal(away[1], forked[1])


def held(state):
    """Numbers that a state holds."""
    if isinstance(state, torch.Tensor):
        return state.numel()
    if hasattr(state, "__dict__"):
        state = tuple(vars(state).values())
    elif isinstance(state, dict):
        state = tuple(state.values())
    return sum(map(held, state)) if isinstance(state, (tuple, list)) else 0


@pytest.mark.long
@pytest.mark.parametrize("sink", [0, 3])
def test_10000_frames_take_no_more_memory_and_no_more_work(sink):
    filler = world(Rule(window=6 + sink, sink=sink), even(1), layers=1)
    known, act = picture(), actions(4, b=1)
    _, state = play(filler, known, act, 1)
    sizes, work, frames = [], [], 9
    while frames < 10_000:
        with Work() as counted:
            made, state = filler.fill(state, known, [0], range(12), act[:12])
        work.append((counted.calls, counted.values))
        sizes.append(held(state))
        frames += 12
    assert made.isfinite().all()
    assert made.std() > 1e-3
    assert sizes[0] > 1000
    assert len(set(sizes[2:])) == 1
    assert len(set(work[5:])) == 1
    assert work[-1][1] > sizes[0]
