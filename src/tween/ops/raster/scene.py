"""What is rendered, what sees it, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from tween.core import TweenError


@dataclass(frozen=True)
class Camera:
    """A pinhole at the origin that looks along +z; x goes right, y down, the centre of the first pixel is (0.5, 0.5).

    Attributes:
        fx, fy: focal lengths, px, > 0.
        cx, cy: where the axis meets the picture, px.
        height, width: of the picture, px.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    height: int
    width: int

    def __post_init__(self) -> None:
        if not (self.height >= 1 and self.width >= 1 and self.fx > 0 and self.fy > 0):
            raise TweenError(
                f"a Camera needs a picture of at least 1x1 and focal lengths above 0, but got "
                f"{self.width}x{self.height} with fx={self.fx} and fy={self.fy}"
            )


def pinhole(height: int, width: int) -> Camera:
    """The camera of lifting and of rendering: one focal length, (height + width) / 2, and the axis in the middle."""
    focal = (height + width) / 2
    return Camera(focal, focal, width / 2, height / 2, height, width)


@dataclass(frozen=True)
class Gaussians:
    """A batch of clouds, in the camera's own space.

    Attributes:
        means: `b n 3`, z forward.
        quats: `b n 4`, w first, of any length but 0.
        scales: `b n 3`, standard deviations along the rotated axes, in units of `means`.
        opacity: `b n` in [0, 1].
        colour: `b n k`, any k: RGB, and whatever else is to be rendered in the same pass.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacity: Tensor
    colour: Tensor

    def __post_init__(self) -> None:
        b, n = self.opacity.shape if self.opacity.ndim == 2 else (-1, -1)
        tails = {"means": 3, "quats": 4, "scales": 3, "colour": self.colour.shape[-1]}
        if any(getattr(self, name).shape != (b, n, tail) for name, tail in tails.items()):
            got = ", ".join(f"{f.name} {tuple(getattr(self, f.name).shape)}" for f in fields(self))
            raise TweenError(
                "Gaussians need means (b, n, 3), quats (b, n, 4), scales (b, n, 3), opacity (b, n) and "
                f"colour (b, n, k), but got {got}"
            )

    def map(self, function) -> Gaussians:
        """The same function on every tensor."""
        return Gaussians(*(function(getattr(self, f.name)) for f in fields(self)))


def moved(gaussians: Gaussians, quat: Tensor, shift: Tensor) -> Gaussians:
    """The cloud as another camera sees it: x -> R x + shift, with R of the unit quaternion `quat` (w first), `4` or
    `b 4`; shift `3` or `b 3`."""
    q, g = quat.expand(len(gaussians.means), 4)[:, None], gaussians
    w, v = q[..., :1], q[..., 1:]
    across = 2 * torch.linalg.cross(v.expand_as(g.means), g.means)
    means = g.means + w * across + torch.linalg.cross(v.expand_as(g.means), across)
    gw, gv = g.quats[..., :1], g.quats[..., 1:]
    real = w * gw - (v * gv).sum(-1, keepdim=True)
    quats = torch.cat((real, w * gv + gw * v + torch.linalg.cross(v.expand_as(gv), gv)), -1)
    return replace(g, means=means + shift.expand(len(means), 3)[:, None], quats=quats)


def pair(x: float, y: float, like: Tensor) -> Tensor:
    """`2`: two numbers, made where `like` is; to send them there would wait for all that the device has yet to do."""
    return torch.linspace(x, y, 2, device=like.device, dtype=like.dtype)


class Rendered(NamedTuple):
    """Pictures of a batch of clouds.

    Attributes:
        colour: `b k h w`, composited over the background.
        alpha: `b 1 h w` in [0, 1], what the cloud covers.
        depth: `b 1 h w`, the mean z of what is seen, 0 where nothing is.
    """

    colour: Tensor
    alpha: Tensor
    depth: Tensor
