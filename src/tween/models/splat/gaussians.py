"""A frame as one Gaussian a pixel, where each is at a time t, and what a camera sees of them.

One pinhole camera lifts and renders: focal length f = (h + w) / 2, principal point in the middle, pixel centres at
+0.5, so a cloud seen at its own time is the frame it came from. Positions are kept as picture coordinates and log depth
until they are rendered: a displacement in px is then exactly the flow, at any depth.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.models.splat.config import SplatConfig
from tween.models.splat.encoder import conv
from tween.models.splat.motion import Path, convex
from tween.ops.raster import Gaussians, pair, pinhole
from tween.ops.warp import pixel_grid

CHANNELS = {"colour": 3, "size": 2, "quat": 4, "spin": 3, "opacity": 1, "lifetime": 1}


class Cloud(NamedTuple):
    """The Gaussians of m frames, maps `b m c h w` in fp32.

    Attributes:
        times: `b m`, in mean gaps.
        path: px of the frame.
        disparity: log of 1 / depth.
        climb: change of log depth a gap.
        colour: in [0, 1]. size: two standard deviations in the picture, px.
        quat: orientation, w first. spin: rotation vector a gap, radians.
        opacity: in [0, 1]. lifetime: the power p of the temporal opacity.
        context: `b m c h/4 w/4`, what the residual motion is made from.
    """

    times: Tensor
    path: Path
    disparity: Tensor
    climb: Tensor
    colour: Tensor
    size: Tensor
    quat: Tensor
    spin: Tensor
    opacity: Tensor
    lifetime: Tensor
    context: Tensor


class Moved(NamedTuple):
    """A cloud at one time, `b m c h w`: place in the picture px, log depth, orientation, temporal opacity."""

    place: Tensor
    depth: Tensor
    quat: Tensor
    weight: Tensor


class GaussianHead(nn.Module):
    """Attributes of the Gaussians from the context at 1/4 and the frame. As built, it renders the frame itself."""

    def __init__(self, config: SplatConfig) -> None:
        super().__init__()
        self.config = config
        width = config.refine[2]
        self.depth = nn.Conv2d(width, 2, 3, 1, 1)
        self.lift = nn.Sequential(nn.Conv2d(width, 16 * config.head, 1), nn.PixelShuffle(4))
        self.body = conv(config.head + 3, config.head)
        self.out = nn.Conv2d(config.head, sum(CHANNELS.values()), 3, 1, 1)
        for layer in (self.depth, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, frames: Tensor, times: Tensor, path: Path, context: Tensor, mask: Tensor) -> Cloud:
        """Frames `b m 3 h w` at `times` `b m` and what is known of them at 1/4."""
        m, c = frames.shape[1], self.config
        near = context.flatten(0, 1)
        coarse = torch.cat([*(4 * x.flatten(0, 1) for x in path), self.depth(near).float()], 1)
        velocity, acceleration, depth = convex(coarse, mask.flatten(0, 1)).unflatten(0, (-1, m)).split(2, 2)
        lifted = self.lift(near)
        out = self.out(self.body(torch.cat((lifted, (frames.flatten(0, 1) - 0.5).to(lifted.dtype)), 1)))
        parts = out.float().unflatten(0, (-1, m)).split(list(CHANNELS.values()), 2)
        raw = dict(zip(CHANNELS, parts, strict=True))
        low, high = c.pixels
        w, xyz = raw["quat"].split((1, 3), 2)
        return Cloud(
            times=times,
            path=Path(velocity, acceleration),
            disparity=depth[:, :, :1],
            climb=0.1 * depth[:, :, 1:],
            colour=torch.sigmoid(torch.logit(frames.float(), 1e-3) + raw["colour"]),
            size=low + (high - low) * torch.sigmoid(raw["size"] + logit((c.sigma - low) / (high - low))),
            quat=F.normalize(torch.cat((w + 1, xyz), 2), dim=2),
            spin=0.1 * raw["spin"],
            opacity=torch.sigmoid(raw["opacity"] + logit(c.opacity)),
            lifetime=c.lifetime * torch.exp(raw["lifetime"].clamp(-2, 2)),
            context=context,
        )


def logit(p: float) -> float:
    """ln(p / (1 - p))."""
    return math.log(p / (1 - p))


class Residual(nn.Module):
    """What no parabola says: displacement and log depth, times a gate that is 0 at every input time."""

    def __init__(self, config: SplatConfig) -> None:
        super().__init__()
        width = config.refine[2]
        self.body = conv(width + 2, config.hidden[1])
        self.out = nn.Conv2d(config.hidden[1], 3, 3, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, context: Tensor, tau: Tensor, between: Tensor) -> Tensor:
        """`b m 3 h w` from `context` `b m c h/4 w/4`; tau `b m` gaps, between `b` in [0, 1] within the interval."""
        m = context.shape[1]
        gate = (4 * between * (1 - between)).view(-1, 1, 1, 1, 1)
        planes = torch.stack((tau, between[:, None].expand_as(tau)), -1)[..., None, None].to(context.dtype)
        x = torch.cat((context, planes.expand(-1, -1, -1, *context.shape[-2:])), 2).flatten(0, 1)
        x = self.out(self.body(x)).float()
        return (
            F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False).unflatten(0, (-1, m))
            * gate
        )


def move(cloud: Cloud, t: Tensor, between: Tensor, residual: Tensor) -> Moved:
    """The two clouds of an interval at time `t` (`b`, mean gaps), which lies at `between` (`b` in [0, 1]) of it."""
    h, w = cloud.colour.shape[-2:]
    tau = (t[:, None] - cloud.times)[..., None, None, None]
    there = cloud.path.at(tau) + residual[:, :, :2]
    away = torch.stack((between, 1 - between), 1)[..., None, None, None].clamp_min(1e-6)
    return Moved(
        place=pixel_grid(h, w, t.device) + 0.5 + there,
        depth=-cloud.disparity + cloud.climb * tau + residual[:, :, 2:],
        quat=multiply(turn(cloud.spin * tau), cloud.quat),
        weight=(1 - away**cloud.lifetime).clamp_min(0),
    )


def turn(vector: Tensor) -> Tensor:
    """Unit quaternions `b m 4 h w` of rotation vectors `b m 3 h w`."""
    half = 0.5 * (vector.square().sum(2, keepdim=True) + 1e-12).sqrt()
    return torch.cat((half.cos(), 0.5 * vector * half.sin() / half), 2)


def multiply(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton product along dimension 2, w first."""
    (a, b, c, d), (e, f, g, h) = p.unbind(2), q.unbind(2)
    product = (
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    )
    return torch.stack(product, 2)


def lifted(cloud: Cloud, moved: Moved, colour: Tensor) -> Gaussians:
    """The clouds merged into one of `n` = m h w Gaussians in space, with `colour` `b m k h w`."""
    h, w = cloud.colour.shape[-2:]
    eye = pinhole(h, w)
    z = moved.depth.clamp(-3, 3).exp()
    centre = pair(eye.cx, eye.cy, z).view(2, 1, 1)
    means = torch.cat(((moved.place - centre) * z / eye.fx, z), 2)
    size = cloud.size * z / eye.fx
    scales = torch.cat((size, size.mean(2, keepdim=True)), 2)
    opacity = cloud.opacity * moved.weight
    flat = [x.movedim(2, -1).flatten(1, 3) for x in (means, moved.quat, scales, opacity, colour)]
    return Gaussians(means=flat[0], quats=flat[1], scales=flat[2], opacity=flat[3][..., 0], colour=flat[4])
