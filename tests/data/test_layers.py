"""Layered motion is exact: what one time shows, its flow finds again at another."""

import numpy as np
import pytest
import torch

from tween.data.layers import (
    LAYERS,
    Course,
    calmed,
    displacement,
    draw_course,
    draw_look,
    hidden,
    layer_triples,
    render,
    to_layer,
    to_picture,
)
from tween.data.store import FrameStore
from tween.ops.warp import backward_warp, pixel_grid

CPU = torch.device("cpu")
SIZE = (96, 128)
N = 6


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def store():
    """Smooth textures, of which bilinear sampling keeps everything."""
    y, x = np.mgrid[0:200, 0:240] * (2 * np.pi / 80)
    waves = [np.stack([np.sin(x + i), np.cos(y - i), np.sin(x + y)], -1) for i in range(4)]
    return FrameStore.build([(127 + 120 * np.stack(waves)).astype(np.uint8)], CPU)


@pytest.fixture(scope="module")
def scene(store):
    """Motion and looks, with outlines so sharp that every pixel shows one layer only."""
    g = rng(4)
    course, look = draw_course(N, SIZE, g), draw_look(store, N, SIZE, g)
    return course, look._replace(edge=torch.full_like(look.edge, 1e5))


def at(s):
    return torch.full((N,), float(s))


def around(far, flow):
    """The layers that the four pixels around where `flow` points to show in `far`, and whether these are inside."""
    position = pixel_grid(*SIZE, CPU) + flow
    h, w = SIZE
    corner = position.floor()
    inside = ((corner >= 0) & (corner < torch.tensor([w - 1, h - 1]).view(1, 2, 1, 1))).all(1)
    x, y = (c.long().clamp(0, side - 2) for c, side in zip(corner.unbind(1), (w, h), strict=True))
    places = [((y + dy) * w + x + dx).flatten(1) for dy in (0, 1) for dx in (0, 1)]
    return torch.stack([far.seen.flatten(1).gather(1, place).view_as(x) for place in places]), inside


def same_layer(near, far, flow):
    """Where all four pixels that `flow` points to in `far` show the layer seen in `near`, inside the picture."""
    layers, inside = around(far, flow)
    return inside & (layers == near.seen).all(0)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("other", [0, 1])
def test_a_known_frame_warped_by_the_flow_is_the_frame_at_t(store, scene, t, other):
    view, known = render(store, *scene, at(t), SIZE), render(store, *scene, at(other), SIZE)
    flow = displacement(scene[0], view, at(other))
    seen = same_layer(view, known, flow)
    assert seen.float().mean() > 0.5
    error = (backward_warp(known.picture, flow) - view.picture).abs().amax(1)
    assert error[seen].mean() < 0.003
    assert error[seen].max() < 0.04  # bilinear, where a mirrored texture has its crease
    assert error[~seen].max() > 0.1  # elsewhere something hides it


@pytest.mark.parametrize("t", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("other", [0, 1])
def test_what_is_hidden_at_another_time_is_known(store, scene, t, other):
    view, known = render(store, *scene, at(t), SIZE), render(store, *scene, at(other), SIZE)
    flow = displacement(scene[0], view, at(other))
    covered = hidden(*scene, view, at(other))
    layers, inside = around(known, flow)
    assert hidden(*scene, view, at(t)).float().mean() < 1e-3
    assert 0.01 < covered.float().mean() < 0.5
    assert (
        covered[same_layer(view, known, flow)].float().mean() < 1e-3
    )  # but for what is thinner than a pixel
    assert covered[inside & (layers != view.seen).all(0)].float().mean() > 0.99
    assert covered[(pixel_grid(*SIZE, CPU) + flow < -0.1).any(1)].all()


def test_flow_at_t_and_flow_between_the_frames_agree(store, scene):
    view, first = render(store, *scene, at(0.4), SIZE), render(store, *scene, at(0), SIZE)
    flow_t0, flow_t1 = (displacement(scene[0], view, at(s)) for s in (0, 1))
    flow_01 = displacement(scene[0], first, at(1))
    seen = same_layer(view, first, flow_t0)
    error = (backward_warp(flow_01, flow_t0) - (flow_t1 - flow_t0)).norm(dim=1)
    assert error[seen].max() < 0.01


def test_flow_vanishes_as_t_reaches_the_frame(store, scene):
    course = scene[0]
    for s in (0, 1):
        view = render(store, *scene, at(s), SIZE)
        assert displacement(course, view, at(s)).abs().max() < 1e-3
        near = displacement(course, view, at(s + 0.01 - 0.02 * s)).norm(dim=1)
        far = displacement(course, view, at(1 - s)).norm(dim=1)
        assert (near < 0.04 * far + 0.3).all()


def test_every_layer_is_seen(store, scene):
    seen = render(store, *scene, at(0.5), SIZE).seen
    assert set(seen.flatten().tolist()) == set(range(LAYERS))


def test_to_picture_is_the_inverse_of_to_layer():
    course, s = draw_course(N, SIZE, rng()), torch.rand(N, generator=rng())
    grid = pixel_grid(*SIZE, CPU).permute(0, 2, 3, 1)[:, None]
    back = to_picture(course, s, to_layer(course, s, grid))
    torch.testing.assert_close(back, grid.expand_as(back), atol=1e-3, rtol=0)


def test_the_bend_is_all_between_the_frames():
    course = draw_course(N, SIZE, rng())
    straight = Course(*course[:2], torch.zeros_like(course.bend), *course[3:])
    for s, equal in ((0, True), (0.5, False), (1, True)):
        assert torch.equal(course.place(at(s))[0], straight.place(at(s))[0]) == equal


def test_speeds_are_what_the_docstring_says():
    course = draw_course(3000, SIZE, rng())
    speed = course.velocity.norm(dim=-1)
    assert speed[:, 0].max() <= 0.131 * 96
    assert 0.26 * 96 * 0.9 < speed[:, 1:].max() < (0.26 + 0.13) * 96
    assert speed.median() < 5


def test_half_are_calmed_and_some_backgrounds_rest():
    before = draw_course(3000, SIZE, rng())
    after = calmed(before, rng(1))
    share = after.turn / before.turn
    assert torch.equal(after.centre, before.centre)
    assert 0.45 < (share[:, 1] < 1).float().mean() < 0.55
    assert np.exp(-6) <= share[:, 1].min() < 0.004
    assert 0.25 < (share[:, 0] == 0).float().mean() < 0.35
    for rate in ("velocity", "bend"):
        torch.testing.assert_close(getattr(after, rate), getattr(before, rate) * share[..., None])
    torch.testing.assert_close(after.growth, before.growth * share)


def test_a_background_at_rest_has_no_flow(store):
    n, half = 24, torch.full((24,), 0.5)
    course, look = calmed(draw_course(n, SIZE, rng()), rng(1)), draw_look(store, n, SIZE, rng())
    view = render(store, course, look, half, SIZE)
    rest = (course.turn[:, 0] == 0)[:, None, None] & (view.seen == 0)
    assert rest.any()
    assert displacement(course, view, 2 * half).abs().amax(1)[rest].max() < 1e-3


def test_a_batch(store):
    batch = layer_triples(store, 5, SIZE, rng())
    assert batch.frames.shape == (5, 3, 3, *SIZE)
    assert batch.flow.shape == batch.between.shape == (5, 4, *SIZE)
    assert batch.known.tolist() == [1.0] * 5
    assert 0 <= batch.frames.min() <= batch.frames.max() <= 1
    assert ((batch.t >= 0.05) & (batch.t <= 0.95)).all()
    assert torch.equal(batch.frames, layer_triples(store, 5, SIZE, rng()).frames)


def test_the_flow_of_a_batch_explains_its_frames(store):
    batch = layer_triples(store, 8, SIZE, rng(1))
    first, middle, _ = batch.frames.unbind(1)
    still = (first - middle).abs().mean()
    warped = (backward_warp(first, batch.flow[:, :2]) - middle).abs()
    assert warped.median() < 0.005
    assert warped.mean() < 0.5 * still


def test_half_of_the_times_are_the_middle(store):
    t = layer_triples(store, 200, (16, 16), rng()).t
    assert 0.4 < (t == 0.5).float().mean() < 0.6


def test_halfway_is_the_middle_alone(store):
    assert (layer_triples(store, 50, (16, 16), rng(), halfway=True).t == 0.5).all()
