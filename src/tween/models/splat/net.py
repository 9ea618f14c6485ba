"""N frames as one moving cloud of Gaussians: `scene` once a window, `clouds` once an interval, `at` once a time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.models.splat.config import SplatConfig
from tween.models.splat.encoder import Encoder
from tween.models.splat.gaussians import Cloud, GaussianHead, Moved, Residual, lifted, move
from tween.models.splat.motion import Path, Trajectory, enlarged, motion_size, paths, sized
from tween.models.splat.pairs import PairMotion, Pairs
from tween.models.splat.refine import Refine
from tween.ops.raster import Camera, Gaussians, Rendered, moved, pair, pinhole, render
from tween.ops.warp import backward_warp, pixel_grid

EMPTY = 1e-3  # coverage below which a rendered colour is not scaled up further
SHARP = 20.0  # how surely the nearer of two clouds hides the other: sigmoid(20 x difference of log depth)


class Pose(NamedTuple):
    """A camera that has moved: x -> R x + shift, R of the quaternion `quat` (`4`, w first); shift `3`, where a depth of
    1 is that of a frame nothing is known of."""

    quat: Tensor
    shift: Tensor


class Scene(NamedTuple):
    """All that does not depend on t: frames `b n 3 h w`, `times` `b n` in mean gaps, motion of every frame at 1/4."""

    frames: Tensor
    times: Tensor
    pairs: Pairs
    path: Path
    context: Tensor
    mask: Tensor


class Made(NamedTuple):
    """A picture at t, `b c h w`, and what led to it.

    Attributes:
        prediction: not clamped.
        rendered: the rasteriser's colours over their coverage.
        coverage: in [0, 1]. depth: its log.
        flow: `b 4 h w` px, into the left and the right frame of the interval.
        moved: the two clouds at t.
    """

    prediction: Tensor
    rendered: Tensor
    coverage: Tensor
    depth: Tensor
    flow: Tensor
    moved: Moved


class SplatNet(nn.Module):
    """Frames to Gaussians to a frame. Height and width must divide by 32."""

    multiple = 32

    def __init__(self, config: SplatConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SplatConfig()
        self.encoder = Encoder(config)
        self.pairs = PairMotion(config)
        self.trajectory = Trajectory(config)
        self.head = GaussianHead(config)
        self.residual = Residual(config)
        self.refine = Refine(config)

    def scene(self, frames: Tensor, times: Tensor, *, area: float = math.inf) -> Scene:
        """Frames `b n 3 h w` in [0, 1] at increasing `times` `b n`, in mean gaps; motion of frames larger than `area`
        px is estimated on copies of about that size. `pairs` then are those of the copies."""
        size = motion_size(*frames.shape[-2:], area)
        smaller = size != frames.shape[-2:]
        features = self.encoder(sized(frames, size, antialias=True) if smaller else frames, times)
        pairs = self.pairs(features)
        moving = features, pairs, paths(pairs, times)
        if smaller:
            quarter = self.encoder.pyramid.quarter_of(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
            moving = enlarged(*moving, quarter)
        path, context, mask = self.trajectory(*moving)
        return Scene(frames, times, pairs, path, context, mask)

    def clouds(self, scene: Scene, left: Tensor) -> Cloud:
        """The Gaussians of frames `left` (`b`) and `left` + 1."""
        index = torch.stack((left, left + 1), 1)
        near = [pick(x, index) for x in (scene.frames, scene.times, *scene.path, scene.context, scene.mask)]
        frames, times, velocity, acceleration, context, mask = near
        return self.head(frames, times, Path(velocity, acceleration), context, mask)

    def gaussians(self, cloud: Cloud, t: Tensor, pose: Pose | None = None) -> tuple[Gaussians, Moved]:
        """Both clouds at `t` (`b`, mean gaps) as one; its colours are RGB and the flow into either frame, 7 in all."""
        between = within(cloud.times, t)
        residual = self.residual(cloud.context, t[:, None] - cloud.times, between)
        with torch.autocast(t.device.type, enabled=False):
            there = move(cloud, t, between, residual)
            seen = lifted(cloud, there, torch.cat((cloud.colour, origins(cloud)), 2))
            seen = seen if pose is None else moved(seen, *pose)
            place = projected(seen, pinhole(*cloud.colour.shape[-2:]))
            colour = torch.cat((seen.colour[..., :3], seen.colour[..., 3:] - place.repeat(1, 1, 2)), -1)
            return replace(seen, colour=colour), there

    def at(self, scene: Scene, cloud: Cloud, t: Tensor, pose: Pose | None = None) -> Made:
        """The picture at `t` (`b`, mean gaps) from the clouds of its interval; `pose` moves the camera."""
        seen, there = self.gaussians(cloud, t, pose)
        return self.finished(scene, cloud, t, self.shown(seen, scene.frames.shape[-2:]), there)

    def shown(self, seen: Gaussians, size: tuple[int, int]) -> Rendered:
        """What the camera sees of the Gaussians of `gaussians`."""
        with torch.autocast(seen.means.device.type, enabled=False):
            apart = seen.map(lambda x: x.unflatten(1, (2, -1)).flatten(0, 1))
            return merged(render(apart, pinhole(*size), low_pass=self.config.low_pass))

    def finished(self, scene: Scene, cloud: Cloud, t: Tensor, shown: Rendered, there: Moved) -> Made:
        """The refined picture of what was rendered at `t`."""
        colour, flow = (shown.colour / shown.alpha.clamp_min(EMPTY)).split((3, 4), 1)
        left = (scene.times[:, :, None] == cloud.times[:, None]).float().argmax(1)
        known = pick(scene.frames, left)
        warped = [backward_warp(known[:, i], flow[:, 2 * i : 2 * i + 2]) for i in (0, 1)]
        depth = logarithm(shown.depth)
        between = within(cloud.times, t)
        prediction = self.refine(torch.stack((colour, *warped), 1), flow, shown.alpha, depth, between)
        return Made(prediction, colour, shown.alpha, depth, flow, there)

    def forward(self, frames: Tensor, times: Tensor, query_t: Tensor) -> tuple[Tensor, tuple[Made, ...]]:
        """Frames `b n 3 h w` in [0, 1] at `times` `b n`, any unit, to frames `b q 3 h w` at `query_t` `b q`.

        Raises:
            TweenError: on one frame, times that do not increase, or queries outside the window.
        """
        check(frames, times, query_t)
        begin, gap = times[:, :1], (times[:, -1:] - times[:, :1]) / (times.shape[1] - 1)
        scene = self.scene(frames, (times - begin) / gap, area=self.config.area)
        query_t = (query_t - begin) / gap
        made = []
        for t in query_t.unbind(1):
            made.append(self.at(scene, self.clouds(scene, interval(scene.times, t)), t))
        return torch.stack([m.prediction for m in made], 1), tuple(made)


def merged(shown: Rendered) -> Rendered:
    """Two clouds rendered apart, `2b ...` (left, right, left, ...), as one picture each: the nearer before the other.

    Sorted as one cloud, the left one would hide the right wherever depths are equal, so that a window played backwards
    gave another picture; and no gradient would tell depth what hides what. Here equals share the pixel.
    """
    colour, alpha, depth = ((x[::2], x[1::2]) for x in shown)
    nearer = torch.sigmoid(SHARP * (logarithm(depth[1]) - logarithm(depth[0])))  # how much the left one is
    seen = 1 - (1 - nearer) * alpha[1], 1 - nearer * alpha[0]

    def both(left: Tensor, right: Tensor) -> Tensor:
        return left * seen[0] + right * seen[1]

    covered = both(*alpha)
    behind = both(*(a * z for a, z in zip(alpha, depth, strict=True)))
    return Rendered(both(*colour), covered, behind / covered.clamp_min(1e-10))


def logarithm(depth: Tensor) -> Tensor:
    """Of a rendered depth, which is 0 where nothing is."""
    return depth.clamp_min(1e-3).log()


def check(frames: Tensor, times: Tensor, query_t: Tensor) -> None:
    """That there are frames on both sides of every query.

    Raises:
        TweenError: if not.
    """
    n = frames.shape[1]
    if n < 2 or times.shape[1] != n:
        raise TweenError(
            f"splat needs two frames or more, each with its time, but got {n} and {times.shape[1]} times"
        )
    if not bool((times.diff(dim=1) > 0).all()):
        raise TweenError("splat needs frames at increasing times; sort them and leave out repeated ones")
    low, high = times[:, :1], times[:, -1:]
    if not bool(((query_t >= low) & (query_t <= high)).all()):
        raise TweenError(
            f"splat fills between its first and its last frame ({float(low.max()):g} to {float(high.min()):g}), "
            f"but {query_t.min():g} to {query_t.max():g} was asked for"
        )


def interval(times: Tensor, t: Tensor) -> Tensor:
    """The frame before `t` (`b`) among `times` `b n`; of the last frame's time the one before it."""
    return ((times <= t[:, None]).sum(1) - 1).clamp(0, times.shape[1] - 2)


def within(times: Tensor, t: Tensor) -> Tensor:
    """Where `t` (`b`) lies between the two times `b 2`: 0 to 1."""
    return ((t - times[:, 0]) / (times[:, 1] - times[:, 0])).clamp(0, 1)


def pick(x: Tensor, index: Tensor) -> Tensor:
    """`b n ...` at `index` `b m`."""
    return x.gather(1, index.view(*index.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:]))


def origins(cloud: Cloud) -> Tensor:
    """Where every Gaussian was, or will be, at the times of both frames: `b 2 4 h w` px of the picture."""
    grid = pixel_grid(*cloud.colour.shape[-2:], cloud.times.device) + 0.5
    apart = (cloud.times[:, None] - cloud.times[:, :, None])[
        ..., None, None, None
    ]  # of cloud i at the time of j
    return torch.cat([grid + cloud.path.at(apart[:, :, j]) for j in (0, 1)], 2)


def projected(seen: Gaussians, eye: Camera) -> Tensor:
    """Where the camera sees the centres, `b n 2` px."""
    z = seen.means[..., 2:].clamp_min(1e-3)
    return seen.means[..., :2] * eye.fx / z + pair(eye.cx, eye.cy, z)
