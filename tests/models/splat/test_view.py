"""Gaussians in space: lifted and projected by one camera; a camera that moves; depth and its colours."""

import math
from fractions import Fraction

import pytest
import torch

from tests.models.splat.toy import clip, net
from tween.core import TweenError
from tween.metrics import psnr
from tween.models.splat.gaussians import multiply, turn
from tween.models.splat.net import Pose, projected
from tween.models.splat.view import around, closed, orbit, shaded, soft, still
from tween.ops.raster import Rendered, moved, pinhole

T = [Fraction(i, 25) for i in range(4)]


def instant(live=True, at=Fraction(1, 25), h=32, w=64):
    return still(net(live=live), clip(1, 4, h, w)[0], T, at)


@torch.inference_mode()
def test_what_is_lifted_is_seen_where_it_was_put():
    held = instant(at=Fraction(3, 50))
    cloud, there = held.net.gaussians(held.cloud, held.t)
    place = there.place[0].permute(0, 2, 3, 1).reshape(-1, 2)
    torch.testing.assert_close(projected(cloud, pinhole(32, 64))[0], place, atol=1e-3, rtol=0)
    assert cloud.colour.shape == (1, 2 * 32 * 64, 7)


@torch.inference_mode()
def test_the_flow_of_a_gaussian_leads_to_where_it_was():
    """At t, place + flow into the left frame is the pixel that the left cloud's Gaussians came from."""
    held = instant(at=Fraction(3, 50))
    cloud = held.gaussians()
    n = 32 * 64
    origin = projected(cloud, pinhole(32, 64))[0, :n] + cloud.colour[0, :n, 3:5]
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(64.0), indexing="ij")
    torch.testing.assert_close(origin, torch.stack((x, y), -1).reshape(-1, 2) + 0.5, atol=1e-3, rtol=0)


def test_what_was_padded_is_no_part_of_the_scene():
    held = instant(live=False, h=40, w=50)
    cloud = held.gaussians()
    assert held.cloud.colour.shape[-2:] == (64, 64)
    assert cloud.means.shape == (1, 2 * 40 * 50, 3)
    place = projected(cloud, pinhole(64, 64))[0].view(2, 40, 50, 2)
    torch.testing.assert_close(place[0, 39, 49], torch.tensor([49.5, 39.5]), atol=0.01, rtol=0)


def test_quaternions():
    vector = torch.tensor([0.3, -0.2, 0.5]).view(1, 1, 3, 1, 1)
    q = turn(vector)
    torch.testing.assert_close(q.norm(dim=2), torch.ones(1, 1, 1, 1))
    undone = multiply(q, turn(-vector))[0, 0, :, 0, 0]
    torch.testing.assert_close(undone, torch.tensor([1.0, 0, 0, 0]))
    assert turn(torch.zeros(1, 1, 3, 1, 1))[0, 0, 0].item() == 1
    twice = multiply(q, q)
    torch.testing.assert_close(twice, turn(2 * vector), atol=1e-6, rtol=0)


def test_a_camera_that_has_not_moved_sees_the_same():
    held = instant(live=False)
    here = held.seen(Pose(torch.tensor([1.0, 0, 0, 0]), torch.zeros(3)))
    torch.testing.assert_close(held.seen().rendered, here.rendered, atol=5e-3, rtol=0)


def test_gaps_are_closed_by_what_is_about_them():
    alpha = torch.ones(1, 1, 9, 9)
    alpha[..., 4, 3:6] = 0
    shown = Rendered(0.5 * alpha.expand(-1, 7, -1, -1), alpha, 2 * (alpha > 0))
    found = closed(shown)
    torch.testing.assert_close(found.colour / found.alpha, torch.full((1, 7, 9, 9), 0.5))
    torch.testing.assert_close(found.depth, torch.full((1, 1, 9, 9), 2.0))
    assert torch.equal(found.alpha[alpha > 0], alpha[alpha > 0])
    assert 0 < found.alpha[..., 4, 4] < 0.01


@torch.inference_mode()
@pytest.mark.parametrize(("nearer", "covered"), [(0.0, False), (soft(math.radians(4)) * 96 / 160, True)])
def test_a_swing_does_not_look_past_the_border(nearer, covered):
    held = instant(live=False, h=64, w=96)
    pose = around(math.radians(4), 0.0, 1.0, held.t, nearer)
    x = projected(moved(held.gaussians(), *pose), pinhole(64, 96))[..., 0]
    assert (x.min() < 1 and x.max() > 95) == covered


@torch.inference_mode()
@pytest.mark.parametrize(("yaw", "pitch"), [(0.05, 0.0), (0.0, 0.05), (-0.1, 0.07)])
def test_the_camera_turns_about_what_it_looks_at(yaw, pitch):
    held = instant(live=False)
    cloud = held.gaussians()
    pose = around(yaw, pitch, 1.0, held.t)
    middle = cloud.means[..., :2].norm(dim=-1).argmin()
    turned = moved(cloud, *pose)
    assert (turned.means[0, middle] - torch.tensor([0.0, 0.0, 1.0])).abs().max() < 0.02
    z = turned.means[..., 2]
    slant = math.hypot(
        *(angle * x.std() for angle, x in zip((yaw, pitch), cloud.means.unbind(-1), strict=False))
    )
    assert z.std().item() == pytest.approx(slant, rel=0.1)  # a plane, seen at an angle


def test_a_swing_ends_where_it_began_and_keeps_odd_sizes():
    held = instant(live=False, h=40, w=50)
    pictures = list(orbit(held, 8, degrees=4))
    assert len(pictures) == 8
    assert pictures[0].shape == (3, 40, 50)
    frame = clip(1, 4, 40, 50)[0, 1]
    assert psnr(pictures[0][None], frame[None]) > 36
    assert psnr(pictures[2][None], frame[None]) < psnr(pictures[4][None], frame[None]) - 3


def test_near_is_bright():
    depth = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 3)
    grey = shaded(depth, 0.0, 1.0)
    assert grey.shape == (3, 1, 3)
    assert grey[0, 0, 0] > 0.9
    assert grey[0, 0, 1] == 0.5
    assert grey[0, 0, 2] < 0.1


def test_outside_the_window():
    with pytest.raises(TweenError, match="between its first and its last frame"):
        instant(at=Fraction(1))
    with pytest.raises(TweenError, match="two frames or more"):
        still(net(), clip(1, 1)[0], T[:1], T[0])
