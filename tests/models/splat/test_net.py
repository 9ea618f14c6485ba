"""The network: any N, the frame itself before training, errors, gradients everywhere."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.splat.toy import clip, net, times
from tween.core import TweenError
from tween.metrics import psnr
from tween.models.splat.net import SplatNet, interval, merged, within
from tween.ops.raster import Gaussians, pinhole, project, render


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_any_number_of_frames(n):
    frames, query = clip(2, n), torch.tensor([[0.1, 0.5], [0.3, 0.9]])
    made, more = net(live=True)(frames, times(2, n), query)
    assert made.shape == (2, 2, 3, 32, 64)
    assert made.isfinite().all()
    assert len(more) == 2
    assert more[0].flow.shape == (2, 4, 32, 64)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("kind", ["noise", "texture"])
def test_a_frame_seen_at_its_own_time_is_itself_before_training(n, kind):
    frames = clip(1, n) if kind == "texture" else torch.rand(1, n, 3, 32, 64)
    made, more = net()(frames, times(1, n), times(1, n))
    for i in range(n):
        assert psnr(more[i].rendered.clamp(0, 1), frames[:, i]) > 36
        assert psnr(made[:, i].clamp(0, 1), frames[:, i]) > 36
        assert more[i].coverage.min() > 0.9


def test_under_autocast_places_are_not_rounded():
    """bf16 knows places in a picture 64 px wide to a quarter of a px: noise would come back at some 10 dB."""
    frames, t = torch.rand(1, 3, 3, 32, 64), times(1, 3)
    with torch.autocast("cpu", torch.bfloat16):
        made, more = net()(frames, t, t)
        middle = net(live=True)(frames, t, torch.tensor([[0.3]]))[1][0]
    whole = net(live=True)(frames, t, torch.tensor([[0.3]]))[1][0]
    for i in range(3):
        assert more[i].rendered.dtype == more[i].moved.place.dtype == made.dtype == torch.float32
        assert psnr(more[i].rendered.clamp(0, 1), frames[:, i]) > 36
    assert not torch.equal(middle.moved.place, whole.moved.place)  # the network did run in bf16
    assert (middle.moved.place - middle.moved.place.bfloat16()).abs().max() > 0.1


def test_it_stays_itself_whatever_the_residual_says():
    """The gate of the residual motion is 0 at input times, also for a network that has learned."""
    made = net(live=True)
    frames, t = clip(1, 3), times(1, 3)
    first = made(frames, t, t)[1]
    with torch.no_grad():
        made.residual.out.bias.fill_(3.0)
    second = made(frames, t, t)[1]
    between = made(frames, t, torch.tensor([[0.25]]))[1][0]
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.moved.place, b.moved.place)
    with torch.no_grad():
        made.residual.out.bias.fill_(-3.0)
    other = made(frames, t, torch.tensor([[0.25]]))[1][0]
    assert (between.moved.place - other.moved.place).abs().min() > 1


def test_neighbours_are_matched_as_if_they_were_alone():
    """By what both frames show; a third one bends the path between them, not where they meet."""
    made, frames = net(live=True), clip(1, 4)
    t = torch.arange(4.0)[None]
    with torch.no_grad():
        four = made.scene(frames, t)
        for i in range(3):
            two = made.scene(frames[:, i : i + 2], t[:, :2])
            for many, own in zip(
                (*four.pairs.levels, four.pairs.key), (*two.pairs.levels, two.pairs.key), strict=True
            ):
                torch.testing.assert_close(many[:, [i, i + 3]], own, atol=1e-5, rtol=1e-5)
    assert (four.path.velocity[:, 2:] - two.path.velocity).abs().max() > 1e-3


def test_the_unit_of_time_does_not_matter():
    made, frames = net(live=True), clip(1, 3)
    one = made(frames, times(1, 3), torch.tensor([[0.3]]))[0]
    other = made(frames, 5 + 40 * times(1, 3), torch.tensor([[17.0]]))[0]
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_samples_of_a_batch_may_ask_for_different_intervals():
    made, frames, query = net(live=True), clip(2, 4), torch.tensor([[0.1], [0.8]])
    together = made(frames, times(2, 4), query)[0]
    for i in (0, 1):
        alone = made(frames[i : i + 1], times(1, 4), query[i : i + 1])[0]
        torch.testing.assert_close(together[i : i + 1], alone, atol=2e-5, rtol=0)


def test_every_parameter_learns():
    made = net(live=True).train()
    out, more = made(clip(1, 3), times(1, 3), torch.tensor([[0.3]]))
    (out.square().sum() + more[0].depth.sum() + more[0].flow.square().sum()).backward()
    silent = [name for name, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def two_clouds(near=1.0, far=1.0):
    """A left and a right cloud over the same 12x16 px, 2b apart as `merged` wants them, and their camera."""
    eye, g = pinhole(12, 16), torch.Generator().manual_seed(0)
    place = torch.rand(2, 200, 2, generator=g) * torch.tensor([16.0, 12.0]) - torch.tensor([8.0, 6.0])
    z = torch.tensor([near, far]).view(2, 1, 1).expand(2, 200, 1)
    cloud = Gaussians(
        means=torch.cat((place * z / eye.fx, z), 2),
        quats=torch.tensor([1.0, 0, 0, 0]).expand(2, 200, 4),
        scales=(0.6 * z / eye.fx).expand(2, 200, 3),
        opacity=torch.full((2, 200), 0.6),
        colour=torch.rand(2, 200, 3, generator=g),
    )
    return cloud, eye


def test_a_window_played_backwards_gives_the_same_picture():
    """At equal depths neither cloud hides the other."""
    cloud, eye = two_clouds()
    forth, back = (merged(render(c, eye)) for c in (cloud, cloud.map(lambda x: x.flip(0))))
    for a, b in zip(forth, back, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("near", "far"), [(1.0, 2.0), (3.0, 1.5)])
def test_clouds_far_apart_hide_one_another_as_one_sorted_cloud_does(near, far):
    cloud, eye = two_clouds(near, far)
    got = merged(render(cloud, eye))
    want = render(cloud.map(lambda x: x.flatten(0, 1)[None]), eye)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, atol=2e-3, rtol=1e-3)


def test_the_picture_tells_depth_what_hides_what():
    made = net(live=True)
    frames, t = clip(1, 2), torch.tensor([0.5])
    scene = made.scene(frames, times(1, 2))
    cloud = made.clouds(scene, torch.tensor([0]))
    depth = torch.zeros_like(cloud.disparity, requires_grad=True)
    shown = made.at(scene, cloud._replace(disparity=depth), t).rendered
    (grad,) = torch.autograd.grad(shown.square().sum(), depth)
    assert grad.abs().mean((0, 2, 3, 4)).min() > 1e-4


def test_motion_of_large_frames_is_found_on_smaller_copies():
    """It is the motion of the frames all the same, and the frame at its own time is itself."""
    torch.manual_seed(0)
    frames = clip(1, 3, 64, 128)
    t = torch.arange(3.0)[None]
    made = net(live=True)
    whole, copied = made.scene(frames, t, area=64 * 128), made.scene(frames, t, area=32 * 64)
    assert copied.pairs.levels[-1].shape[-2:] == (8, 16)
    for name in ("context", "mask"):
        assert getattr(copied, name).shape == getattr(whole, name).shape
    still = made.clouds(copied, torch.zeros(1, dtype=torch.long))
    assert still.path.velocity.shape == (1, 2, 2, 64, 128)
    small = replace(made.config, area=32 * 64)
    fresh = SplatNet(small).eval()
    out, (first,) = fresh(frames, t, torch.zeros(1, 1))
    assert out.shape == (1, 1, 3, 64, 128)
    assert psnr(first.rendered.clamp(0, 1), frames[:, 0]) > 36


class Sent(TorchDispatchMode):
    """Notes what would stop a GPU: numbers that are sent to it, or read from it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if op.overloadpacket in (torch.ops.aten.lift_fresh, torch.ops.aten._local_scalar_dense):
            self.seen.append(op)
        return op(*args, **(kwargs or {}))


def test_the_device_is_not_waited_for():
    made, frames, t = net(), clip(1, 3), 2 * times(1, 3)
    with Sent() as sent:
        cloud = made.clouds(made.scene(frames, t), torch.zeros(1, dtype=torch.long))
        seen = project(made.gaussians(cloud, torch.full((1,), 0.4))[0], pinhole(32, 64))
    assert seen.xy.shape == (1, 2 * 32 * 64, 2)
    assert sent.seen == []
    with Sent() as sent:
        torch.tensor([1.0]).item()
    assert len(sent.seen) == 2


@pytest.mark.parametrize(
    ("n", "t", "query", "said"),
    [
        (1, [[0.0]], [[0.0]], "two frames or more"),
        (3, [[0.0, 0.0, 1.0]], [[0.5]], "increasing times"),
        (2, [[0.0, 1.0]], [[1.5]], "between its first and its last frame"),
        (2, [[0.0, 1.0]], [[-0.1]], "between its first and its last frame"),
        (3, [[0.0, 1.0]], [[0.5]], "each with its time"),
    ],
)
def test_mistakes(n, t, query, said):
    with pytest.raises(TweenError, match=said):
        net()(clip(1, n), torch.tensor(t), torch.tensor(query))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=6), st.floats(0, 1))
def test_an_interval_holds_its_time(gaps, share):
    t = torch.tensor([0.0, *gaps]).cumsum(0)[None]
    query = t[:, -1] * share
    left = interval(t, query)
    assert 0 <= left.item() <= len(gaps) - 1
    bounds = t[:, left[0] : left[0] + 2]
    assert bounds[0, 0] <= query[0] <= bounds[0, 1] + 1e-5
    assert 0 <= within(bounds, query).item() <= 1
