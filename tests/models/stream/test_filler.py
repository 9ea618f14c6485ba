"""`StreamFiller`: a picture, then blocks without end; a state is a value."""

import pytest
import torch

from tests.models.stream.square import Grouped
from tests.models.stream.toy import actions, net
from tween.core import Filler, TweenError, clone
from tween.models.stream.actions import Actions
from tween.models.stream.config import Rule
from tween.models.stream.filler import StreamFiller
from tween.models.stream.sampling import Sampling, even
from tween.models.stream.timeline import block_frames

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


def filler(size=3, sampling=None, **changes):
    network = net(channels=4, rule=Rule(block=size, window=2 * size), **changes)
    return StreamFiller(network, Grouped(), sampling or Sampling(shift=2.0), side=1)


def picture(b=2, seed=4):
    return torch.rand(b, 1, 1, 4, 6, generator=torch.Generator().manual_seed(seed))


def begin(world, known, seed=0):
    return world.begin(known[:, 0].shape, seed=seed, device="cpu", dtype=torch.float32)


def play(world, known, act, blocks, state=None, seed=0):
    """The frames of each block, and the state after the last."""
    state, made = state or begin(world, known, seed), []
    for _ in range(blocks):
        frames = world.frames(state)
        own = act[frames.start : frames.stop]
        out, state = world.fill(state, known, [0], frames, own)
        made.append(out)
    return made, state


def test_it_is_a_filler():
    world = filler()
    assert isinstance(world, Filler)
    assert (world.past, world.future, world.multiple) == (1, 0, 2)
    assert not world.net.training


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_blocks_have_the_frames_of_the_timeline(size):
    made, state = play(filler(size), picture(), actions(4 * size), 4)
    assert [x.shape for x in made] == [(2, len(block_frames(b, size)), 1, 4, 6) for b in range(4)]
    assert state.start == 4 * size
    assert all(0 <= x.min() < x.max() <= 1 for x in made)


@pytest.mark.parametrize("sampling", [Sampling(), even(2)], ids=["renoise", "adams"])
def test_all_actions_at_hand_or_one_block_at_a_time_is_the_same_to_the_bit(sampling):
    """Batch and interactive use are one code path: what is ahead is never looked at."""
    act, known = actions(12), picture()
    batch, _ = play(filler(sampling=sampling), known, act, 4)
    world, state = filler(sampling=sampling), None
    for b in range(4):
        frames = block_frames(b)
        unknown = Actions(torch.full_like(act.keys, torch.nan), torch.full_like(act.mouse, torch.nan))
        for part, real in ((unknown.keys, act.keys), (unknown.mouse, act.mouse)):
            part[:, : frames.stop] = real[:, : frames.stop]
        made, state = play(world, known, unknown, 1, state)
        assert torch.equal(made[0], batch[b])


@pytest.mark.parametrize("block", [0, 1, 3])
@pytest.mark.parametrize("part", ["keys", "mouse"])
def test_an_action_changes_its_block_and_what_follows(part, block):
    act, known = actions(12), picture()
    base, _ = play(filler(), known, act, 4)
    other = clone(act)
    frames = block_frames(block)
    getattr(other, part)[:, frames.start : frames.stop] += 1
    made, _ = play(filler(), known, other, 4)
    for b, (new, old) in enumerate(zip(made, base, strict=True)):
        assert torch.equal(new, old) == (b < block)


def test_the_last_action_of_a_block_moves_the_next_one():
    """Action k leads from frame k to k + 1, so that of frame 8 is first heard in frame 9."""
    act, known = actions(6), picture()
    other = clone(act)
    other.keys[:, 8] += 1
    base, made = (play(filler(), known, a, 2)[0] for a in (act, other))
    assert torch.equal(base[0], made[0])
    assert not torch.equal(base[1], made[1])


def test_the_seed_picture_matters_and_later_pictures_do_not():
    world, act = filler(), actions(6)
    base, _ = play(world, picture(), act, 2)
    other, _ = play(world, picture(seed=9), act, 2)
    assert (base[0] - other[0]).abs().mean() > 1e-3
    first, state = play(world, picture(), act, 1)
    second, _ = play(world, first[0][:, -1:], act, 1, state)
    assert torch.equal(second[0], base[1])


def test_same_seed_same_world():
    act, known = actions(6), picture()
    one, two, other = (play(filler(), known, act, 2, seed=s)[0] for s in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0], other[0])


def test_a_world_of_a_batch_is_one_alone_with_its_own_seed():
    act, known = actions(9), picture()
    together, _ = play(filler(), known, act, 3, seed=5)
    for i in (0, 1):
        own = Actions(act.keys[i : i + 1], act.mouse[i : i + 1])
        alone, _ = play(filler(), known[i : i + 1], own, 3, seed=5 + i)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b, **CLOSE)


def test_a_fork_goes_its_own_way():
    world, act, known = filler(), actions(9), picture()
    _, state = play(world, known, act, 1)
    fork = clone(state)
    swapped = Actions(act.keys.flip(0), act.mouse.flip(0))
    play(world, known, swapped, 2, state)
    forked, _ = play(world, known, act, 2, fork)
    straight, _ = play(world, known, act, 3)
    for a, b in zip(forked, straight[1:], strict=True):
        assert torch.equal(a, b)


def test_nobody_playing_is_no_key_pressed():
    world, known = filler(), picture()
    still = Actions(torch.zeros(2, 9, 4), torch.zeros(2, 9, 2))
    alone, _ = world.fill(begin(world, known), known, [0], range(9))
    told, _ = world.fill(begin(world, known), known, [0], range(9), still)
    assert torch.equal(alone, told)


def test_memory_does_not_grow():
    world, known, act = filler(size=1, sampling=even(1)), picture(b=1), actions(3, b=1)
    _, state = play(world, known, act, 3)

    def size(x):
        if isinstance(x, torch.Tensor):
            return x.numel()
        parts = x if isinstance(x, tuple) else vars(x).values() if hasattr(x, "__dict__") else ()
        return sum(size(part) for part in parts)

    held = []
    for _ in range(40):
        _, state = world.fill(state, known, [0], range(4), act[5:9])
        held.append(size(state))
    assert held[5] > 1000
    assert len(set(held[1:])) == 1


@pytest.mark.parametrize(("times", "count"), [(12, 9), (9, 12), (9, 8)])
def test_wrong_counts_are_refused(times, count):
    world, known = filler(), picture()
    with pytest.raises(
        TweenError, match=f"next block has 9 frames .* but got {times} times and {count} actions"
    ):
        world.fill(begin(world, known), known, [0], range(times), actions(4)[:count])


def test_a_picture_of_the_wrong_size_is_refused():
    world, known = filler(), torch.rand(1, 1, 1, 5, 6)
    with pytest.raises(TweenError, match="divide by 2, but got 4 channels and 5 x 6"):
        world.fill(begin(world, known), known, [0], range(9))


def test_bfloat16_is_nearly_float32():
    known, act = picture(), actions(6)
    exact, _ = play(filler(), known, act, 2)
    world = filler()
    world.net.bfloat16()
    state = world.begin(known[:, 0].shape, seed=0, device="cpu", dtype=torch.bfloat16)
    rough, _ = play(world, known, act, 2, state)
    assert rough[0].dtype == torch.float32
    assert (rough[0] - exact[0]).abs().mean() < 0.03
