"""Steps, noise and the two loops."""

import pytest
import torch

from tests.models.stream.toy import actions, net
from tween.core import TweenError
from tween.models.stream.cache import begin
from tween.models.stream.sampling import Sampling, even, next_block, noise, noised

LIKE = torch.zeros(())


@pytest.mark.parametrize(
    ("steps", "levels"),
    [((1000, 666, 333), (1000, 908.8, 714.0)), ((1000, 750, 500, 250), (1000, 937.5, 833.3, 625.0))],
)
def test_warped_steps_are_those_of_self_forcing(steps, levels):
    assert [1000 * x for x in Sampling(steps=steps).levels] == pytest.approx(levels, abs=0.05)


def test_even_steps():
    assert even(4).steps == (1000, 750, 500, 250)
    assert even(4).loop == "adams"


@pytest.mark.parametrize("steps", [(), (500, 1000), (1000, 0), (1200,), (500, 500)])
def test_steps_that_do_not_fall_are_refused(steps):
    with pytest.raises(TweenError, match="steps fall from at most 1000"):
        Sampling(steps=steps)


def test_noise_depends_on_where_it_is_used_alone():
    shape = (2, 3, 4, 5, 6)
    one = noise(7, 2, 1, shape, LIKE)
    torch.manual_seed(123)
    assert torch.equal(noise(7, 2, 1, shape, LIKE), one)
    assert torch.equal(noise(8, 2, 1, (1, *shape[1:]), LIKE)[0], one[1])
    others = [noise(7, 2, 0, shape, LIKE), noise(7, 3, 1, shape, LIKE), noise(9, 2, 1, shape, LIKE)]
    assert all(((a - one).std() - 2**0.5).abs() < 0.3 for a in others)
    big = noise(0, 0, 0, (1, 3, 16, 40, 40), LIKE)
    assert abs(big.mean()) < 0.02
    assert abs(big.std() - 1) < 0.02


class Known:
    """A network that knows the answer: the straight way from any noise to `clean`."""

    def __init__(self, clean):
        self.clean, self.config, self.asked = clean, net().config, []

    def __call__(self, x, level, actions, image, *, context, cache):
        self.asked.append((level[0, 0].item(), (x - self.clean).abs().mean().item()))
        level = level[:, :, None, None, None].clamp_min(1e-9)
        return (x - self.clean) / level, cache


@pytest.mark.parametrize("sampling", [Sampling(), even(5), even(1), Sampling(steps=(1000,))], ids=str)
def test_both_loops_come_to_what_the_network_knows(sampling):
    torch.manual_seed(0)
    clean = torch.randn(2, 3, 2, 4, 6)
    known = Known(clean)
    cache = begin(known.config, 2, (4, 6))
    made, after = next_block(known, cache, actions(3), None, size=(4, 6), seed=0, sampling=sampling)
    torch.testing.assert_close(made, clean, atol=1e-5, rtol=0)
    levels, far = zip(*known.asked, strict=True)
    assert levels == pytest.approx((*sampling.levels, 0.0))
    assert far[-1] < 1e-5
    for level, distance in known.asked[:-1]:  # as far from the answer as the level says: noise was put back
        expected = (noised(clean, level, torch.randn_like(clean)) - clean).abs().mean().item()
        assert distance == pytest.approx(expected, rel=0.2)
    assert (after.start, after.history.frames) == (3, 9)


class Gaussian:
    """A network that knows the velocity of latents of deviation `spread`, each independent of the others."""

    def __init__(self, spread):
        self.spread, self.config = spread, net().config

    def __call__(self, x, level, actions, image, *, context, cache):
        t, variance = level[:, :, None, None, None], self.spread**2
        return x * (t - (1 - t) * variance) / (t**2 + (1 - t) ** 2 * variance), cache


@pytest.mark.parametrize("spread", [0.4, 1.0, 2.5])
def test_ten_steps_keep_the_deviation(spread):
    """Euler's ten come to 0.85, 0.88 and 0.85 of it, and a stream multiplies that with every block."""
    known = Gaussian(spread)
    args = {"size": (40, 40), "seed": 0, "sampling": even(10, shift=1.0)}
    made, _ = next_block(known, begin(known.config, 1, (40, 40)), actions(3, 1), None, **args)
    assert made.std().item() == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_what_is_remembered_bears_its_noise_and_what_is_shown_none(share):
    clean = noise(3, 0, 0, (2, 3, 2, 4, 6), LIKE)
    known, sampling = Known(clean), Sampling(remember=share)
    cache = begin(known.config, 2, (4, 6))
    made, _ = next_block(known, cache, actions(3), None, size=(4, 6), seed=0, sampling=sampling)
    torch.testing.assert_close(made, clean, atol=1e-5, rtol=0)
    level, far = known.asked[-1]
    assert level == pytest.approx(share)
    drawn = noise(0, 0, 3, clean.shape, LIKE)
    assert far == pytest.approx(share * (drawn - clean).abs().mean().item(), abs=1e-4)


def test_too_much_noise_to_remember_is_refused():
    with pytest.raises(TweenError, match="noise from 0 to below 1"):
        Sampling(remember=1.0)


def test_a_block_begins_from_its_own_noise():
    network = net()
    args = {"size": (4, 6), "sampling": Sampling()}
    with torch.no_grad():
        one, two, other = (
            next_block(network, begin(network.config, 2, (4, 6)), actions(3), None, seed=s, **args)[0]
            for s in (1, 1, 2)
        )
    assert torch.equal(one, two)
    assert (one - other).abs().mean() > 0.1
