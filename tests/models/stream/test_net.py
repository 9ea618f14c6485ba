"""The network's own promises."""

from dataclasses import replace

import pytest
import torch

from tests.models.stream.toy import ACTION, MODES, actions, config, latents, net
from tween.core import TweenError
from tween.models.stream.cache import advance, begin
from tween.models.stream.config import DOOM, MATRIX_GAME_2, MATRIX_GAME_2_GTA, MATRIX_GAME_2_TEMPLERUN
from tween.models.stream.net.net import StreamNet, folded, unfolded


def parameters(preset):
    with torch.device("meta"):
        return sum(p.numel() for p in StreamNet(preset).parameters())


def test_sizes_of_the_presets():
    assert 8e6 < parameters(DOOM) < 10e6
    c = MATRIX_GAME_2
    assert (c.width, c.layers, c.heads, c.ffn, c.action.layers) == (1536, 30, 12, 8960, 15)
    assert 44 * 80 // c.patch**2 == 880
    assert [p.rule.window for p in (c, MATRIX_GAME_2_GTA, MATRIX_GAME_2_TEMPLERUN)] == [6, 4, 6]
    assert [len(p.mode.keys) for p in (c, MATRIX_GAME_2_GTA, MATRIX_GAME_2_TEMPLERUN)] == [4, 2, 7]


def test_patches():
    x = torch.arange(2 * 3 * 2 * 4 * 6.0).reshape(2, 3, 2, 4, 6)
    tokens = folded(x, 2)
    assert tokens.shape == (2, 3, 6, 8)
    assert torch.equal(tokens[1, 2, 4], x[1, 2, :, 2:4, 2:4].flatten())
    assert torch.equal(unfolded(tokens, 2, (2, 3)), x)


@pytest.mark.parametrize("mode", MODES)
def test_what_a_mode_lacks_is_not_there(mode):
    names = {
        name.split(".")[2]
        for name, _ in net(mode=MODES[mode]).blocks.named_modules(prefix="b")
        if name.count(".") == 2
    }
    assert ("mouse" in names) == MODES[mode].mouse
    assert "keys" in names


def test_templerun_ignores_the_mouse():
    network = net(mode=MODES["templerun"], action=replace(ACTION, modulate=True))
    x, act, level = latents(6), actions(6, mode=MODES["templerun"]), torch.zeros(2, 6)
    one = network(x, level, act)[0]
    act.mouse.add_(1)
    assert torch.equal(network(x, level, act)[0], one)


def test_a_network_as_built_says_nothing_and_can_learn_everything():
    torch.manual_seed(0)
    network = StreamNet(config(context=5, action=replace(ACTION, modulate=True)))
    x, act = latents(6), actions(6)
    args = x, torch.full((2, 6), 0.5), act, x[:, 0]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    assert network(*args)[0].abs().max() == 0
    for _ in range(4):
        loss = (network(*args, context=torch.randn(2, 7, 5))[0] - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert [
        name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0
    ] == []


def test_context_tokens_are_seen_and_kept():
    network, x, act = net(context=5), latents(6), actions(6)
    g = torch.Generator().manual_seed(0)
    context, level = torch.randn(2, 7, 5, generator=g), torch.zeros(2, 6)
    with torch.no_grad():
        full = network(x, level, act, context=context)[0]
        assert (full - network(x, level, act)[0]).abs().max() > 1e-2
        cache = begin(network.config, 2, (4, 6))
        one, cache = network(x[:, :3], level[:, :3], act[:9], context=context, cache=cache)
        cache = advance(cache, network.config, act[:9])
        two, _ = network(x[:, 3:], level[:, 3:], act[9:], cache=cache)
    torch.testing.assert_close(torch.cat((one, two), 1), full, atol=2e-5, rtol=1e-4)


def test_levels_are_of_each_latent():
    network, x, act = net(), latents(6), actions(6)
    level = torch.full((2, 6), 0.3)
    other = level.clone()
    other[:, 3:] = 0.9
    one, two = network(x, level, act)[0], network(x, other, act)[0]
    assert torch.equal(one[:, :3], two[:, :3])
    assert (one - two)[:, 3:].abs().max() > 1e-3


def test_samples_of_a_batch_do_not_meet():
    network, x, act = net(), latents(6), actions(6)
    level = torch.rand(2, 6, generator=torch.Generator().manual_seed(0))
    both = network(x, level, act, x[:, 0])[0]
    one = network(x[1:], level[1:], type(act)(act.keys[1:], act.mouse[1:]), x[1:, 0])[0]
    torch.testing.assert_close(both[1:], one, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"h": 5}, "divide by 2, but got 2 channels and 5 x 6"),
        ({"w": 7}, "divide by 2, but got 2 channels and 4 x 7"),
    ],
)
def test_latents_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(TweenError, match=message):
        net()(latents(3, **changes), torch.zeros(2, 3), actions(3))


def test_keys_of_another_mode_are_refused():
    with pytest.raises(TweenError, match=r"4 keys \(forward, back, left, right\), but got 7"):
        net()(latents(3), torch.zeros(2, 3), actions(3, mode=MODES["templerun"]))


def test_heads_must_divide():
    with pytest.raises(TweenError, match="but got 5 heads for width 24"):
        config(heads=5)


def test_weights_read_back_give_the_same():
    one, two = net(seed=0), net(seed=1)
    x, level, act = latents(3), torch.zeros(2, 3), actions(3)
    assert not torch.equal(one(x, level, act)[0], two(x, level, act)[0])
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(x, level, act)[0], two(x, level, act)[0])


def test_compiled_blocks_are_one_graph_each_and_the_same_network():
    plain, network = net(), net()
    for block in network.blocks:
        block.compile(backend="aot_eager", fullgraph=True)
    x, act, level = latents(6), actions(6), torch.zeros(2, 6)
    torch.testing.assert_close(network(x, level, act)[0], plain(x, level, act)[0])
    with torch.inference_mode():
        caches = [begin(n.config, 2, (4, 6)) for n in (network, plain)]
        one, two = (
            n(x[:, :3], level[:, :3], act[:9], cache=c)[0]
            for n, c in zip((network, plain), caches, strict=True)
        )
    torch.testing.assert_close(one, two)
    for a, b in zip(*(c.rings for c in caches), strict=True):
        torch.testing.assert_close(a.tokens.k, b.tokens.k)
        assert a.tokens.k.abs().max() > 0
