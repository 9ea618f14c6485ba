"""What each method gives when the answer is known."""

from fractions import Fraction

import pytest
import torch

from tween.models.interp.baselines import Blend, Dis, Nearest, dis_flow
from tween.zoo.selfcheck import moving_pattern

ENDS = (Fraction(7, 3), Fraction(10, 3))


def fill(filler, known, *t):
    state = filler.begin(known[:, 0].shape, seed=0, device="cpu", dtype=known.dtype)
    return filler.fill(state, known, ENDS, [ENDS[0] + x for x in t])[0]


def test_blend_weighs_by_time():
    known = torch.stack((torch.zeros(1, 3, 4, 5), torch.ones(1, 3, 4, 5)), 1)
    assert fill(Blend(), known, Fraction(1, 4), Fraction(2, 3))[0, :, 0, 0, 0].tolist() == pytest.approx(
        [0.25, 2 / 3]
    )


def test_nearest_takes_the_nearer():
    known = torch.rand(2, 2, 4, 3, 5)
    out = fill(Nearest(), known, Fraction(1, 3), Fraction(1, 2), Fraction(3, 5))
    assert torch.equal(out, known[:, [0, 0, 1]])


def test_dis_flow_finds_the_shift():
    known = moving_pattern()
    flow_01, flow_10 = dis_flow(known[:, 0], known[:, 1])
    inner = (..., slice(40, -40), slice(40, -40))
    for flow, sign in ((flow_01, 1), (flow_10, -1)):
        dx, dy = flow[inner][0].flatten(1).median(1).values.tolist()
        assert (dx, dy) == pytest.approx((12 * sign, 4 * sign), abs=0.25)


def test_dis_moves_to_the_time_asked():
    known = moving_pattern()
    inner = (..., slice(40, -40), slice(40, -40))
    quarter = fill(Dis(), known, Fraction(1, 4))[:, 0]
    truth = known[:, 0].roll((1, 3), (2, 3))
    assert (quarter - truth)[inner].abs().mean() < 0.01
    assert (fill(Blend(), known, Fraction(1, 4))[:, 0] - truth)[inner].abs().mean() > 0.05


@pytest.mark.parametrize("size", [(67, 91), (1, 1), (12, 100), (100, 7)])
def test_dis_on_any_size_and_batches(size):
    known = torch.rand(2, 2, 3, *size)
    assert fill(Dis(), known, Fraction(1, 2), Fraction(3, 4)).shape == (2, 2, 3, *size)
