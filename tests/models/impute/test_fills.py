"""Fills of clips: keyframes bit by bit, nothing seen of what is missing, and each what it says it is."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from tests.infer.fakes import Linear
from tests.models.impute.cases import clip_and_mask, moving, seeds
from tween.core import TweenError
from tween.metrics import psnr
from tween.models.impute.fills import by_filler, idw, linear, nearest, neighbours, slerp
from tween.models.impute.fills_sinkhorn import SinkhornConfig, coupling, flows, sinkhorn
from tween.models.interp.baselines import Blend

FILLS = {
    "nearest": nearest,
    "linear": linear,
    "slerp": slerp,
    "idw": idw,
    "sinkhorn": sinkhorn(SinkhornConfig(tokens=4, steps=4)),
    "filler": by_filler(Blend()),
    "two on each side": by_filler(Linear(past=2, future=2)),
}
fills = pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS.keys())


@fills
@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_keyframes_stay_and_the_rest_is_not_looked_at(fill, seed):
    frames, known = clip_and_mask(seed)
    made = fill(frames, known, None)
    assert made[known].equal(frames[known])
    assert made.isfinite().all()
    hidden = torch.where(known[..., None, None, None], frames, torch.nan)
    assert fill(hidden, known, None).equal(made)


@fills
@settings(max_examples=10, deadline=None)
@given(seed=seeds, scale=st.fractions(Fraction(1, 60), 10), start=st.integers(-5, 5))
def test_only_the_proportion_of_times_counts(fill, seed, scale, start):
    frames, known = clip_and_mask(seed)
    scaled = [start + scale * i for i in range(6)]
    torch.testing.assert_close(fill(frames, known, scaled), fill(frames, known, None), atol=1e-5, rtol=0)


@fills
def test_samples_are_filled_each_by_itself(fill):
    frames, known = clip_and_mask(3, b=4)
    alone = torch.cat([fill(frames[i : i + 1], known[i : i + 1], None) for i in range(4)])
    torch.testing.assert_close(fill(frames, known, None), alone, atol=1e-5, rtol=0)


@fills
def test_what_does_not_move_stays(fill):
    frames = torch.rand(1, 1, 3, 8, 8).expand(-1, 5, -1, -1, -1)
    known = torch.tensor([[True, False, False, True, False]])
    torch.testing.assert_close(fill(frames, known, None), frames, atol=1e-4, rtol=0)


@pytest.mark.parametrize("fill", [linear, by_filler(Blend())])
def test_linear_is_that_of_numpy(fill):
    frames, known = clip_and_mask(5, b=1, t=9)
    times = [Fraction(x, 10) for x in (0, 1, 4, 5, 9, 10, 11, 20, 30)]
    at, values = np.array([float(x) for x in times]), frames[0].flatten(1).numpy()
    keys = known[0].numpy()
    wanted = np.stack([np.interp(at, at[keys], column) for column in values[keys].T], 1)
    np.testing.assert_allclose(fill(frames, known, times)[0].flatten(1).numpy(), wanted, atol=1e-6)


def test_slerp_is_that_of_rotations():
    """Unit vectors on their way from x to y turn as scipy turns them."""
    axis = Slerp([0, 3], Rotation.from_rotvec([[0, 0, 0], [0, 0, 1.2]]))
    wanted = torch.tensor(axis([0, 1, 2, 3]).apply([1.0, 0, 0]), dtype=torch.float32)
    frames = wanted[None, :, :, None, None]
    made = slerp(frames, torch.tensor([[True, False, False, True]]))
    torch.testing.assert_close(made, frames, atol=1e-6, rtol=0)


def test_slerp_keeps_the_length_that_fading_loses():
    frames = torch.randn(1, 3, 64, 4, 4, generator=torch.Generator().manual_seed(0))
    known = torch.tensor([[True, False, True]])
    sizes = frames.norm(dim=2)
    wanted = (sizes[:, 0] + sizes[:, 2]) / 2
    torch.testing.assert_close(slerp(frames, known).norm(dim=2)[:, 1], wanted)
    assert (linear(frames, known).norm(dim=2)[:, 1] < 0.9 * wanted).all()


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0])
def test_slerp_without_an_arc_is_linear(factor):
    frames = torch.rand(1, 3, 8, 2, 2)
    frames[:, 2] = factor * frames[:, 0]
    known = torch.tensor([[True, False, True]])
    torch.testing.assert_close(slerp(frames, known), linear(frames, known))


def test_idw_weighs_by_the_inverse_square():
    frames = torch.tensor([0.0, 7.0, 1.0]).view(1, 3, 1, 1, 1)
    made = idw(frames, torch.tensor([[True, False, True]]), [0, 1, 4])
    assert made[0, 1].item() == pytest.approx(1 / 9 / (1 + 1 / 9))


def test_neighbours():
    before, after, place = neighbours(torch.tensor([[False, True, False, False, True, False]]))
    assert before.tolist() == [[1, 1, 1, 1, 4, 4]]
    assert after.tolist() == [[1, 1, 4, 4, 4, 4]]
    torch.testing.assert_close(place.float(), torch.tensor([[0, 0, 1 / 3, 2 / 3, 0, 0]]))


def test_a_filler_is_asked_once_for_all_samples_with_the_same_keyframes():
    toy = Linear(past=2, future=2)
    frames = torch.rand(3, 9, 3, 4, 4)
    known = (torch.arange(9) % 4 == 0).expand(3, -1)
    by_filler(toy)(frames, known, None)
    assert [shape[:2] for shape in toy.shapes] == [(3, 4), (3, 4)]
    assert toy.calls == [(1, 2, 3), (5, 6, 7)]


@pytest.mark.parametrize("by", [(2, 1), (-2, 0), (0, 2)])
def test_sinkhorn_finds_where_tokens_go(by):
    clip, inner = moving(by=by), (..., slice(12, -12), slice(12, -12))
    flow_01, flow_10 = (flow[inner].flatten(2).median(-1).values for flow in flows(clip[:, 0], clip[:, 4]))
    wanted = -4.0 * torch.tensor([by])
    assert (flow_01 - wanted).abs().max() < 3  # of 8; tokens are 2.7 pixels wide
    assert (flow_10 + wanted).abs().max() < 3
    known = torch.tensor([[True, False, False, False, True]])
    warped, faded = (
        psnr(fill(clip, known, None)[inner][:, 2], clip[inner][:, 2]) for fill in (sinkhorn(), linear)
    )
    assert warped.item() > faded.item() + 3


def test_a_coupling_shares_the_mass_out():
    """Against the plain iteration in fp64, without logarithms."""
    cost = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    config = SinkhornConfig(entropy=0.1, steps=100)
    plan = coupling(cost, config)
    kernel, u = torch.exp(-cost / 0.1), torch.ones(2, 6, 1, dtype=torch.float64)
    for _ in range(100):
        v = (1 / 6) / (kernel.mT @ u)
        u = (1 / 6) / (kernel @ v)
    torch.testing.assert_close(plan, u * kernel * v.mT)
    torch.testing.assert_close(plan.sum(1), torch.full((2, 6), 1 / 6, dtype=torch.float64), atol=1e-6, rtol=0)


@fills
def test_mistakes_are_said(fill):
    frames, known = clip_and_mask(0)
    with pytest.raises(TweenError, match="bool mask of shape"):
        fill(frames, known[:, 1:], None)
    with pytest.raises(TweenError, match="something given of every sample"):
        fill(frames, torch.zeros_like(known), None)
    with pytest.raises(TweenError, match="increasing"):
        fill(frames, known, [0, 1, 1, 2, 3, 4])


def test_what_a_filler_made_can_be_trained_on():
    """Released fillers run in inference mode, whose tensors autograd refuses."""
    from tests.models.interp.toy import fast_net
    from tween.models.interp.filler import InterpFiller

    frames = torch.rand(1, 3, 3, 32, 32)
    coarse = by_filler(InterpFiller(fast_net()))(frames, torch.tensor([[True, False, True]]), None)
    weight = torch.ones(3, requires_grad=True)
    (coarse * weight[:, None, None]).square().sum().backward()
    assert not coarse.is_inference()
    assert weight.grad.abs().min() > 0
