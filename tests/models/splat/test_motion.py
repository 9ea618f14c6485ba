"""Paths through displacements are exact for parabolas; upsampling is convex."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.models.splat.encoder import Features
from tween.models.splat.motion import convex, enlarged, motion_size, parabola, paths
from tween.models.splat.pairs import Pairs, neighbours

number = st.floats(-5, 5)


@settings(max_examples=50, deadline=None)
@given(number, number, st.floats(0.2, 3), st.floats(0.2, 3), number)
def test_a_parabola_goes_through_its_points(v, a, before, after, tau):
    def at(t):
        return torch.full((2, 1, 1), v * t + 0.5 * a * t * t, dtype=torch.float64)

    sure = torch.ones(2, 1, 1, dtype=torch.float64)
    gaps = (torch.tensor(x, dtype=torch.float64) for x in (before, after))
    path = parabola(at(-before), at(after), *gaps, sure)
    torch.testing.assert_close(path.at(torch.tensor(tau, dtype=torch.float64)), at(tau), atol=1e-6, rtol=1e-6)


def test_a_doubted_side_is_left_out():
    sure = torch.tensor([0.0, 1.0]).view(2, 1, 1)
    path = parabola(torch.full((2, 1, 1), 9.0), torch.full((2, 1, 1), 2.0), *torch.ones(2), sure)
    torch.testing.assert_close(path.velocity, torch.full((2, 1, 1), 2.0))
    assert not path.acceleration.any()


def pairs(n, position):
    """Exact displacements of a whole picture whose place at times 0, 1, ... is `position`, fully trusted."""
    one, other = neighbours(n, torch.device("cpu"))
    d = (position[other] - position[one]).view(1, -1, 2, 1, 1).expand(1, -1, 2, 4, 6)
    sure = torch.full((1, len(one), 1, 4, 6), 50.0)
    return Pairs((d, d, d), sure, torch.zeros(1, len(one), 1, 4, 6), torch.zeros(1, n, 1, 1, 1))


def test_accelerating_motion_is_exact_from_three_frames_and_not_from_two():
    t = torch.arange(4.0)
    place = torch.stack((3 * t + 0.8 * t**2, -t + 0.3 * t**2), -1)
    for n in (3, 4):
        path = paths(pairs(n, place[:n]), t[None, :n])
        for i in range(n):
            tau = torch.tensor(0.5 if i < n - 1 else -0.5)
            when = t[i] + tau
            exact = torch.stack((3 * when + 0.8 * when**2, -when + 0.3 * when**2)) - place[i]
            torch.testing.assert_close(path.at(tau)[0, i, :, 2, 3], exact, atol=1e-4, rtol=0)
    line = paths(pairs(2, place[:2]), t[None, :2]).at(torch.tensor(0.5))[0, 0, :, 2, 3]
    torch.testing.assert_close(line, (place[1] - place[0]) / 2)
    assert (line - torch.tensor([3 * 0.5 + 0.8 * 0.25, -0.5 + 0.3 * 0.25])).abs().max() > 0.15


def test_unequal_gaps():
    t = torch.tensor([0.0, 0.5, 3.0])
    place = torch.stack((t**2, 2 * t), -1)
    path = paths(pairs(3, place), t[None])
    torch.testing.assert_close(
        path.acceleration[0, :, :, 1, 1], torch.tensor([2.0, 0.0]).expand(3, 2), atol=1e-4, rtol=0
    )


@given(st.integers(1, 90), st.integers(1, 90), st.integers(32**2, 1024**2))
def test_motion_is_estimated_at_a_bounded_size(rows, columns, area):
    size = h, w = 32 * rows, 32 * columns
    found = motion_size(h, w, area)
    assert all(side % 32 == 0 and 32 <= side <= most for side, most in zip(found, size, strict=True))
    assert found == size if h * w <= area else found[0] * found[1] <= (area**0.5 + 32) ** 2 + 32 * max(h, w)
    assert motion_size(h, w, math.inf) == size


def test_motion_of_a_copy_at_the_size_of_the_frame():
    """Half as wide and a third as high: paths grow two and three times, in places and in length."""
    place = torch.tensor([[0.0, 0.0], [3.0, -1.0], [7.0, -4.0]])
    small, t = pairs(3, place), torch.arange(3.0)[None]
    sizes = (3, 1, 4, 6), (3, 1, 2, 3), (3, 5, 1, 1), (4, 5, 1, 1)
    features = Features(*(torch.zeros(1, *size) for size in sizes))
    quarter = torch.rand(1, 3, 1, 12, 12)
    found, hidden, path = enlarged(features, small, paths(small, t), quarter)
    assert found.quarter is quarter
    assert found.sixteenth.shape == (1, 3, 5, 3, 3)
    assert hidden.hidden.shape == (1, 4, 1, 12, 12)
    exact = paths(small._replace(levels=(pairs(3, place * torch.tensor([2.0, 3.0])).levels)), t)
    for got, want in zip(path, exact, strict=True):
        torch.testing.assert_close(got, want[..., :1, :1].expand(-1, -1, -1, 12, 12), atol=1e-4, rtol=0)


def test_upsampling_is_convex():
    x, mask = torch.randn(2, 3, 4, 5), torch.randn(2, 144, 4, 5)
    up = convex(x, mask)
    assert up.shape == (2, 3, 16, 20)
    assert up.max() <= x.max()
    assert up.min() >= x.min()
    torch.testing.assert_close(convex(torch.ones(1, 1, 4, 5), mask[:1]), torch.ones(1, 1, 16, 20))
    sharp = torch.zeros(1, 9, 16, 4, 5)
    sharp[:, 4] = 50.0
    nearest = convex(x[:1], sharp.view(1, 144, 4, 5))
    torch.testing.assert_close(nearest, x[:1].repeat_interleave(4, 2).repeat_interleave(4, 3))
