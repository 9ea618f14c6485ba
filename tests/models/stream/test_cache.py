"""Block by block with a cache is one pass over all, for every window and sink."""

from dataclasses import replace

import pytest
import torch

from tests.models.stream.toy import ACTION, MODES, RULES, actions, latents, net
from tween.core import TweenError, clone
from tween.models.stream.cache import advance, begin
from tween.models.stream.config import Rule
from tween.models.stream.masks import sees, slot, streamed, whole
from tween.models.stream.timeline import block_frames, block_latents, seen

BLOCKS = 7
CPU = torch.device("cpu")
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def frames(block, size=3):
    r = block_frames(block, size)
    return slice(r.start, r.stop)


def span(block, size=3):
    r = block_latents(block, size)
    return slice(r.start, r.stop)


@torch.no_grad()
def stream(network, x, level, act, image=None, messy=True, history=None):
    """Velocities block by block: of `x` at `level`, after clean blocks of `history` (None: of `x` at level 0)."""
    size = network.config.rule.block
    cache, made = begin(network.config, len(x), x.shape[-2:]), []
    for b in range(x.shape[1] // size):
        here, act_b = span(b, size), act[frames(b, size)]
        if messy:  # denoising passes come before, and leave nothing
            network(torch.randn_like(x[:, here]), torch.rand(x.shape[0], size), act_b, image, cache=cache)
        v, _ = network(x[:, here], level[:, here], act_b, image, cache=cache)
        made.append(v)
        if history is not None:
            network(history[:, here], torch.zeros(x.shape[0], size), act_b, image, cache=cache)
        cache = advance(cache, network.config, act_b)
    return torch.cat(made, 1)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_mask_and_cache_show_what_the_timeline_says(rule):
    n = BLOCKS * rule.block
    table = whole(n, rule, CPU)
    mask = sees(table.query.at((slice(None), None)), table.key.at((None,)), rule)
    held = [None] * rule.window
    for block in range(BLOCKS):
        visible = seen(block, size=rule.block, window=rule.window, sink=rule.sink)
        for latent in block_latents(block, rule.block):
            keys = table.key.latent[mask[latent]]
            assert sorted(keys.tolist()) == visible
            held[slot(latent, rule)] = latent
        sight = streamed(block * rule.block, rule, CPU)
        by_place = {int(p): held[k] for k, p in enumerate(sight.shows)}
        assert [by_place[k] for k in range(len(by_place))] == visible
        assert [visible[p] for p in sight.asks] == list(block_latents(block, rule.block))


@pytest.mark.parametrize(
    ("block", "window", "sink", "visible"),
    [
        (20, 15, 0, [*range(48, 63)]),
        (20, 6, 0, [*range(57, 63)]),
        (20, 4, 0, [*range(59, 63)]),
        (20, 12, 3, [0, 1, 2, *range(54, 63)]),
        (1, 15, 0, [*range(6)]),
    ],
)
def test_windows_hold_the_own_block_and_the_sink(block, window, sink, visible):
    assert seen(block, size=3, window=window, sink=sink) == visible


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_streamed_is_whole(rule):
    network, x, act = net(rule=rule), latents(3 * BLOCKS), actions(3 * BLOCKS)
    level = torch.rand(2, BLOCKS, generator=torch.Generator().manual_seed(3)).repeat_interleave(3, 1)
    with torch.no_grad():
        full, _ = network(x, level, act, x[:, 0])
    torch.testing.assert_close(stream(network, x, level, act, x[:, 0]), full, **CLOSE)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_streamed_is_whole_in_every_mode_and_block(mode, size):
    n = 4 * size
    network = net(rule=Rule(block=size, window=2 * size, sink=0), mode=MODES[mode])
    x, act = latents(n), actions(n, mode=MODES[mode])
    with torch.no_grad():
        full, _ = network(x, torch.zeros(2, n), act)
    torch.testing.assert_close(stream(network, x, torch.zeros(2, n), act), full, **CLOSE)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_teacher_forcing_is_the_cache_after_clean_blocks(rule):
    network, noisy, clean, act = net(rule=rule), latents(18), latents(18, seed=5), actions(18)
    level = torch.full((2, 18), 0.7)
    with torch.no_grad():
        taught, _ = network(noisy, level, act, clean[:, 0], clean=clean)
    torch.testing.assert_close(
        stream(network, noisy, level, act, clean[:, 0], history=clean), taught, **CLOSE
    )


def test_windows_and_sinks_matter():
    """The tests above would pass on a network that looked nowhere."""
    x, act, level = latents(18), actions(18), torch.zeros(2, 18)
    made = [net(rule=Rule(window=w, sink=s))(x, level, act)[0] for w, s in ((15, 0), (6, 0), (6, 3), (3, 0))]
    for i, a in enumerate(made):
        for b in made[:i]:
            assert (a - b)[:, -3:].abs().max() > 1e-2


@pytest.mark.parametrize("modulate", [False, True])
def test_nothing_earlier_hears_or_sees_what_comes_later(modulate):
    network = net(action=replace(ACTION, modulate=modulate))
    x, act, level = latents(12), actions(12), torch.zeros(2, 12)
    base = network(x, level, act)[0]
    later = x.clone()
    later[:, 6:] += 1
    changed = network(later, level, act)[0]
    assert torch.equal(changed[:, :6], base[:, :6])
    assert (changed - base)[:, 6:].abs().flatten(2).amax(2).min() > 1e-3
    for part in ("keys", "mouse"):
        other = clone(act)
        getattr(other, part)[:, block_frames(2).start :] += 1
        changed = network(x, level, other)[0]
        assert torch.equal(changed[:, :6], base[:, :6])
        assert (changed - base)[:, 6:].abs().flatten(2).amax(2).min() > 1e-4


def test_a_stream_has_no_end():
    """Beyond any table of places: after 5,000 blocks the cache is as large as after 2, and what it shows is the same
    as a fresh stream of the same last latents, as far as the first layer sees (deeper ones remember more)."""
    rule = Rule(window=6, sink=0)
    network = net(rule=rule, layers=1)
    x, act = latents(9, b=1), actions(9, b=1)
    late = replace(begin(network.config, 1, (4, 6)), start=15000, history=act[:12])
    early = replace(begin(network.config, 1, (4, 6)), start=6, history=act[:12])
    for b in (0, 1):
        step = act[9:21]
        args = (x[:, span(b)], torch.zeros(1, 3), step)
        with torch.no_grad():
            one, _ = network(*args, cache=late)
            two, _ = network(*args, cache=early)
        torch.testing.assert_close(one, two)
        late, early = (advance(c, network.config, step) for c in (late, early))
    assert late.history.frames == 12
    assert late.rings[0].tokens.k.shape[1] == 6


def test_forks_go_their_own_way():
    network, x, act = net(), latents(9), actions(9)
    level = torch.zeros(2, 3)
    cache = begin(network.config, 2, (4, 6))
    with torch.no_grad():
        network(x[:, :3], level, act[:9], cache=cache)
        cache = advance(cache, network.config, act[:9])
        fork = clone(cache)
        there, _ = network(x[:, 3:6], level, act[9:21], cache=cache)
        network(x[:, 6:9], level, act[21:33], cache=cache)
        here, _ = network(x[:, 3:6], level, act[9:21], cache=fork)
    assert torch.equal(here, there)
    assert not torch.equal(cache.rings[0].tokens.k, fork.rings[0].tokens.k)


def test_gradients_leave_no_trace_in_the_cache_and_are_those_of_the_whole_pass():
    network, x, act = net(), latents(6), actions(6)
    level = torch.zeros(2, 3)
    cache = begin(network.config, 2, (4, 6))
    with torch.no_grad():
        network(x[:, :3], level, act[:9], cache=cache)
    cache = advance(cache, network.config, act[:9])
    kept = clone(cache)
    own = x[:, 3:].clone().requires_grad_()
    network(own, level, act[9:21], cache=cache)[0].square().sum().backward()
    for ring, was in zip(cache.rings, kept.rings, strict=True):
        assert torch.equal(ring.tokens.k, was.tokens.k)
    whole_x = x.clone().requires_grad_()
    network(whole_x, torch.zeros(2, 6), act)[0][:, 3:].square().sum().backward()
    torch.testing.assert_close(own.grad, whole_x.grad[:, 3:], atol=1e-3, rtol=1e-3)


def test_a_block_of_another_size_is_refused():
    network, cache = net(), begin(net().config, 2, (4, 6))
    with pytest.raises(TweenError, match="3 latents and 9 actions, but got 2"):
        network(latents(2), torch.zeros(2, 2), actions(2), cache=cache)
    with pytest.raises(TweenError, match="but got 3 and 12"):
        network(latents(3), torch.zeros(2, 3), actions(4)[:12], cache=cache)
