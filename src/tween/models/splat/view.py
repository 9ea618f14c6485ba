"""An instant of a window held still: looked at from elsewhere, as depth, or as the Gaussians themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.models.splat.filler import positions
from tween.models.splat.gaussians import Cloud
from tween.models.splat.net import Made, Pose, Scene, SplatNet, interval
from tween.ops.raster import Gaussians, Rendered


@dataclass(frozen=True, kw_only=True)
class Still:
    """The Gaussians around one instant.

    Attributes:
        t: `1`, mean gaps. size: (h, w) of the frames before they were padded.
    """

    net: SplatNet
    scene: Scene
    cloud: Cloud
    t: Tensor
    size: tuple[int, int]

    @torch.inference_mode()
    def seen(self, pose: Pose | None = None) -> Made:
        """The instant from where it was filmed, or from elsewhere. Maps are padded; see `cropped`."""
        seen, there = self.net.gaussians(self.cloud, self.t, pose)
        shown = self.net.shown(seen, self.scene.frames.shape[-2:])
        shown = shown if pose is None else closed(shown)
        return self.net.finished(self.scene, self.cloud, self.t, shown, there)

    @torch.inference_mode()
    def gaussians(self) -> Gaussians:
        """What is there at the instant, in the space of the camera, without what the padding was lifted to."""
        maps = self.cloud.colour[0, :, 0]  # m h w
        inside = torch.zeros_like(maps, dtype=torch.bool)
        inside[:, : self.size[0], : self.size[1]] = True
        return self.net.gaussians(self.cloud, self.t)[0].map(lambda x: x[:, inside.flatten()])

    def cropped(self, x: Tensor) -> Tensor:
        """`1 c h w` as large as the frames: `c h w`."""
        return x[0, :, : self.size[0], : self.size[1]]


@torch.inference_mode()
def still(net: SplatNet, frames: Tensor, times: Sequence[Fraction], at: Fraction) -> Still:
    """Frames `n 3 h w` in [0, 1] of any size at increasing `times`, held at `at`.

    Raises:
        TweenError: on one frame, or an instant outside the window.
    """
    h, w = frames.shape[-2:]
    padded = F.pad(frames, (0, -w % net.multiple, 0, -h % net.multiple), mode="replicate")[None]
    known = frames.new_tensor(positions(times, times))[None]
    t = frames.new_tensor(positions(times, [at]))
    scene = net.eval().scene(padded, known, area=net.config.area)
    return Still(net=net, scene=scene, cloud=net.clouds(scene, interval(known, t)), t=t, size=(h, w))


def closed(shown: Rendered, share: float = 0.01, reach: int = 2) -> Rendered:
    """What a camera elsewhere sees, with gaps between Gaussians closed by a little of what is `reach` px about: nothing
    was filmed there, and the network has seen few such gaps. What is covered stays."""
    little = share * (1 - shown.alpha).clamp_min(0)

    def joined(x: Tensor) -> Tensor:
        return x + little * F.avg_pool2d(x, 2 * reach + 1, 1, reach)

    alpha = joined(shown.alpha)
    return Rendered(joined(shown.colour), alpha, joined(shown.depth * shown.alpha) / alpha.clamp_min(1e-10))


def orbit(instant: Still, count: int, *, degrees: float = 3.0) -> Iterator[Tensor]:
    """`count` pictures `3 h w` in [0, 1] from a camera that swings once around what it looks at and comes back.

    Args:
        degrees: greatest turn to either side; half as much up and down.
    """
    depth, (h, w) = instant.seen().depth.median().exp().item(), instant.size
    for i in range(count):
        phase = 2 * math.pi * i / count
        yaw, pitch = (math.radians(degrees) * x for x in (math.sin(phase), 0.5 * math.sin(2 * phase)))
        nearer = (soft(yaw) * w + soft(pitch) * h) / (h + w)
        yield instant.cropped(instant.seen(around(yaw, pitch, depth, instant.t, nearer)).prediction).clamp(
            0, 1
        )


def soft(angle: float) -> float:
    """|sin|, round at 0."""
    return math.hypot(math.sin(angle), 0.005) - 0.005


def around(yaw: float, pitch: float, depth: float, like: Tensor, nearer: float = 0.0) -> Pose:
    """A camera turned by `yaw` and `pitch` radians about the point at `depth` on its axis, which stays in the middle,
    and moved towards it by `nearer` of that depth: a turned one would see past the border of what was filmed."""
    a, b = yaw / 2, pitch / 2
    quat = like.new_tensor((math.cos(a) * math.cos(b), math.cos(a) * math.sin(b), math.sin(a) * math.cos(b),
                            -math.sin(a) * math.sin(b)))  # fmt: skip
    w, x, y, z = quat.tolist()
    axis = (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))  # where R takes +z
    return Pose(quat, like.new_tensor([-depth * axis[0], -depth * axis[1], depth * (1 - axis[2] - nearer)]))


def shaded(depth: Tensor, middle: float, spread: float) -> Tensor:
    """Log depth `1 h w` as grey `3 h w`: near is bright, `middle` grey, `spread` either way nearly black or white."""
    return torch.sigmoid(3 * (middle - depth) / max(spread, 0.02)).expand(3, -1, -1)
