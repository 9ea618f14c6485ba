"""Passes as CUDA graphs change nothing, and go when their session does."""

import gc

import pytest
import torch

from tests.models.stream.toy import actions, net
from tween.core import clone
from tween.models.stream.cache import begin
from tween.models.stream.config import Rule
from tween.models.stream.replays import Replays
from tween.models.stream.sampling import Sampling, next_block
from tween.models.stream.timeline import block_frames

RULES = [Rule(block=1, window=4), Rule(block=3, window=6), Rule(block=2, window=6, sink=2)]


@torch.inference_mode()
def walk(network, config, blocks=9, device="cpu", cache=None, start=0):
    """Latents of each block after latent `start`, and the cache."""
    act, made = actions(config.rule.block * (start + blocks)).to(device), []
    image = torch.ones(2, 2, 4, 6, device=device)
    cache = cache or begin(config, 2, (4, 6), device=device)
    for block in range(start, start + blocks):
        frames = block_frames(block, config.rule.block)
        own = act[frames.start : frames.stop]
        x, cache = next_block(network, cache, own, image, size=(4, 6), seed=3, sampling=Sampling())
        made.append(x)
    return torch.stack(made), cache


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_same_to_the_bit_past_the_beginning_and_after_a_fork(rule):
    network = net(rule=rule).eval()
    replays = Replays(network)
    want, plain = walk(network, network.config)
    got, cache = walk(replays, network.config)
    assert torch.equal(got, want)
    fork = clone(cache)
    want, _ = walk(network, network.config, 3, cache=plain, start=9)
    for again in (cache, fork):  # what the one writes the other does not see
        assert torch.equal(walk(replays, network.config, 3, cache=again, start=9)[0], want)


def test_what_is_kept_of_a_session_goes_with_it():
    network = net(rule=RULES[0]).eval()
    replays = Replays(network)
    _, cache = walk(replays, network.config)
    assert len(replays._kept) == 1
    del cache
    gc.collect()
    assert len(replays._kept) == 0


@pytest.mark.gpu
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_on_a_gpu_graphs_make_what_the_network_makes(rule):
    """Two sessions at once, each with its own graph; past the slots' period, and after a fork."""
    network = net(rule=rule).eval().cuda()
    replays = Replays(network)
    want, plain = walk(network, network.config, 14, "cuda")
    got, cache = walk(replays, network.config, 14, "cuda")
    other, _ = walk(replays, network.config, 14, "cuda")
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other, want, atol=1e-4, rtol=1e-4)
    fork = clone(cache)
    want, _ = walk(network, network.config, 6, "cuda", plain, 14)
    for again in (cache, fork):
        got, _ = walk(replays, network.config, 6, "cuda", again, 14)
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)
