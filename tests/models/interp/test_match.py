"""Matching finds whole-cell shifts exactly, and motion carried to t lies where it should."""

import pytest
import torch

from tween.models.interp.match import Motion, motion_at
from tween.nn.match import TOKENS, global_match, mutual, scores


def keys(h, w, c=64, strength=30.0, seed=0):
    """Every position has a key of its own."""
    key = torch.randn(1, c, h, w, generator=torch.Generator().manual_seed(seed))
    return strength * torch.nn.functional.normalize(key, dim=1)


def steady(v, h=8, w=10, certainty=1.0):
    """A pair whose whole picture moves by `v` (dx, dy)."""
    one = torch.ones(1, 1, h, w)
    v01 = torch.tensor(v).view(1, 2, 1, 1) * one
    blank = torch.zeros(1, 4, h, w)
    return Motion(v01, -v01, certainty * one, certainty * one, one, one, blank, blank, blank, blank)


def test_scores_are_scaled_products():
    a, b = torch.randn(2, 3, 16, 4, 5).unbind(0)
    expected = torch.einsum("bcq,bck->bqk", a.flatten(2), b.flatten(2)) / 4
    torch.testing.assert_close(scores(a, b), expected)
    assert scores(a.bfloat16(), b.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, 0), (0, -2), (-4, 2)])
def test_a_whole_cell_shift_is_found(dx, dy):
    key = keys(9, 13)
    v, certainty = global_match(key, key.roll((dy, dx), (2, 3)))
    y, x = torch.meshgrid(torch.arange(9), torch.arange(13), indexing="ij")
    inside = (x + dx >= 0) & (x + dx < 13) & (y + dy >= 0) & (y + dy < 9)
    assert (v[0, 0][inside] - dx).abs().max() < 1e-2
    assert (v[0, 1][inside] - dy).abs().max() < 1e-2
    assert certainty.shape == (1, 1, 9, 13)
    assert 0.99 < certainty.min() <= certainty.max() < 1.001


def test_a_diffuse_match_is_not_drawn_to_the_middle_of_the_picture():
    key = keys(16, 16, strength=1.0)
    v, certainty = global_match(key, key)
    assert certainty.max() < 0.5
    assert v[..., 3:-3, 3:-3].abs().max() < 0.5  # the mean over all positions is up to 4.5 off there


def test_between_two_cells_is_half_a_cell():
    h, w = 6, 9
    key = keys(h, w + 1)
    half = (key[..., :-1] + key[..., 1:]) / 2
    v, _ = global_match(half[..., 1:-1], key[..., 1:-2])
    assert (v[:, 0] - 0.5).abs().median() < 0.1


def test_large_pictures_are_matched_at_half_size():
    h, w = 50, 51  # more than TOKENS
    assert h * w > TOKENS >= 25 * 26
    key = keys(h // 2 + 1, w // 2 + 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    v, certainty = global_match(key[..., :h, :w], key.roll(2, 3)[..., :h, :w])
    assert v.shape == (1, 2, h, w)
    assert certainty.shape == (1, 1, h, w)
    inner = v[..., 4:-4, 4:-6]
    assert (inner[:, 0] - 2).abs().max() < 0.05
    assert inner[:, 1].abs().max() < 0.05


def test_matching_has_gradients():
    key, other = (keys(5, 6, c=8, strength=2.0, seed=s).requires_grad_() for s in (0, 1))
    v, certainty = global_match(key, other)
    (v.square().sum() + certainty.sum()).backward()
    assert key.grad.abs().sum() > 0
    assert other.grad.abs().sum() > 0


def test_only_a_returned_motion_is_mutual():
    v = torch.zeros(1, 2, 6, 12)
    v[:, 0] = 3.0
    kept = mutual(v, -v)[0, 0, :, :8]
    lost = mutual(v, v)[0, 0, :, :8]
    assert kept.min() > 2.9
    assert lost.max() < 0.01


@pytest.mark.parametrize("t", [0.0, 0.25, 0.5, 1.0])
def test_steady_motion_at_t(t):
    flow, evidence = motion_at(steady((2.0, 1.0)), torch.full((1, 1, 1, 1), t))
    inner = flow[0, :, 3:-3, 4:-4]
    expected = torch.tensor([-2 * t, -t, 2 * (1 - t), 1 - t])
    torch.testing.assert_close(inner, expected.view(4, 1, 1).expand_as(inner), atol=0.01, rtol=0)
    assert evidence.shape == (1, 8, 8, 10)
    assert evidence[0, :4, 3:-3, 4:-4].abs().max() < 0.01  # each frame alone says the same


def test_where_nothing_arrives_the_flow_is_zero():
    flow, evidence = motion_at(steady((40.0, 0.0)), torch.full((1, 1, 1, 1), 0.5))
    assert flow.abs().max() == 0
    assert evidence.isfinite().all()


def test_the_nearer_frame_counts_more():
    m = steady((0.0, 0.0))
    m = m._replace(v01=m.v01 + 0.2)  # the two frames disagree
    times = (0.1, 0.9)
    v = [(motion_at(m, torch.full((1, 1, 1, 1), t))[0][0, 2] / (1 - t)).median() for t in times]
    assert v[0] > 0.15 > 0.05 > v[1]
