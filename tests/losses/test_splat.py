"""Losses of moving Gaussians: zero where they should be, a gradient the right way, weights within their clamps."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tween.losses.matching import matching_nll, returns
from tween.losses.splat import (
    coverage,
    depth_order,
    depth_smoothness,
    fading,
    followed,
    gaussian_flow,
    kendall,
    occlusion_order,
    scale_hinge,
    temporal_consistency,
)


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_flow_counts_where_it_is_known():
    truth = noise(2, 3, 2, 8, 8)
    off = truth + torch.tensor([3.0, 4.0]).view(2, 1, 1)
    assert gaussian_flow(truth, truth, torch.ones(2)) == 0
    assert gaussian_flow(off, truth, torch.ones(2)).item() == pytest.approx(5 - 0.1, abs=0.01)
    half = torch.stack((off[0], truth[1]))
    assert gaussian_flow(half, truth, torch.tensor([0.0, 1.0])) == 0
    assert gaussian_flow(half, truth, torch.zeros(2)) == 0


def test_what_is_followed_is_found():
    wide = torch.nn.functional.interpolate(noise(1, 3, 10, 12), scale_factor=4, mode="bicubic")
    frame, other = wide[..., :32, :40], wide[..., 2:34, 3:43]  # what is at x there is at x + (3, 2) here
    away = torch.tensor([-3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 32, 40)
    right, none = (followed(frame, other, d) for d in (away, torch.zeros_like(away)))
    assert right < 0.35 * none
    near = (away + 0.4).requires_grad_()
    (grad,) = torch.autograd.grad(followed(frame, other, near), near)
    assert grad.mean((0, 2, 3)).min() > 0  # descent leads back


def test_light_that_changes_is_mostly_forgiven():
    frame = noise(1, 3, 24, 24)
    still = torch.zeros(1, 2, 24, 24)
    lighter, other = (
        followed(frame, 0.9 * frame + 0.05, still),
        followed(frame, noise(1, 3, 24, 24, seed=1), still),
    )
    assert lighter < 0.3 * other


def test_depth_may_break_where_the_picture_does():
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1
    flat, edge = torch.zeros(1, 3, 8, 8), step.expand(1, 3, 8, 8)
    assert depth_smoothness(step, edge) < 0.01 * depth_smoothness(step, flat)
    assert depth_smoothness(torch.ones_like(step), flat) == 0


def test_nearer_layers_come_nearer():
    layer = torch.zeros(1, 1, 16, 16)
    layer[..., 4:12, 4:12] = 2
    disparity = torch.zeros_like(layer, requires_grad=True)
    loss = depth_order(disparity, layer, torch.ones(1))
    assert loss.item() == pytest.approx(0.2)
    (grad,) = torch.autograd.grad(loss, disparity)
    assert grad[layer > 0].sum() < 0 < grad[layer == 0].sum()
    assert depth_order(0.1 * layer, layer, torch.ones(1)) == pytest.approx(0, abs=1e-6)
    assert depth_order(-layer, layer, torch.zeros(1)) == 0


def test_what_hides_is_nearer():
    """A square that moves by 6 px hides ground: there, the other frame shows the nearer thing."""
    disparity, other = torch.zeros(1, 1, 16, 16, requires_grad=True), torch.zeros(1, 1, 16, 16)
    still, back = torch.zeros(1, 2, 16, 16), torch.zeros(1, 2, 16, 16)
    back[..., 4:8, 8:12] = -6
    loss = occlusion_order(disparity, other, still, back)
    (grad,) = torch.autograd.grad(loss, disparity)
    assert grad[..., 4:8, 8:12].min() > 0  # descent puts it farther away
    assert occlusion_order(other, other, still, still) < 0.01


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 100))
def test_supervision_fades(step, end):
    assert 0 <= fading(step, end) <= 1
    assert fading(step + 1, end) <= fading(step, end)
    assert fading(0, end) == 1
    assert (fading(step, end) == 0) == (step >= end)


@settings(deadline=None)
@given(st.floats(1e-6, 10), st.floats(-30, 30))
def test_kendall(loss, s):
    log = torch.tensor(s, requires_grad=True)
    term = kendall({"a": torch.tensor(loss)}, {"a": log, "unused": torch.tensor(0.0)})
    clamped = min(max(s, -10.0), 10.0)
    assert list(term) == ["a"]
    assert term["a"].item() == pytest.approx(
        0.5 * math.exp(-clamped) * loss + 0.5 * clamped, rel=1e-4, abs=1e-4
    )
    (grad,) = torch.autograd.grad(term["a"], log)
    if abs(s) > 10:
        assert grad == 0  # no weight runs away
    elif abs(s - math.log(loss)) > 0.1:
        assert (grad > 0) == (s > math.log(loss))  # s goes to the log of the loss


def test_bends_that_agree():
    a = noise(2, 2, 4, 4)
    assert temporal_consistency(a, a) == 0
    assert 0 < temporal_consistency(a, a + 0.1) < temporal_consistency(a, a + 100) < 1


def test_coverage_and_size():
    assert coverage(torch.full((1, 1, 4, 4), 0.7)) == 0
    assert coverage(torch.full((1, 1, 4, 4), 0.2)).item() == pytest.approx(0.3)
    assert scale_hinge(torch.tensor([0.2, 0.5, 1.0])) == 0
    assert scale_hinge(torch.tensor([0.1, 1.5])).item() == pytest.approx(0.3)


def test_matching_is_least_where_it_is_right():
    flow = torch.zeros(1, 2, 4, 5)
    flow[:, 0] = 1
    right = torch.zeros(1, 20, 20)
    for q in range(20):
        right[0, q, min(q + 1, 19)] = 10
    seen = returns(flow, -flow)
    assert seen[0].view(4, 5)[:, :3].all()
    assert matching_nll(right, flow, seen) < 0.01 < matching_nll(torch.zeros_like(right), flow, seen)
    assert matching_nll(right, flow, torch.zeros(1, 20)) == 0
