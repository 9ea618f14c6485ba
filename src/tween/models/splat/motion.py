"""From displacements to neighbours to a path: velocity and acceleration of every Gaussian.

Time is in mean gaps between frames, tau = t - t_i. A frame with a neighbour on either side gives three points of each
path, hence a parabola; one at the end of the window borrows the acceleration of the place it moves to.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.models.splat.config import SplatConfig
from tween.models.splat.encoder import Features, conv
from tween.models.splat.pairs import Pairs, up
from tween.ops.raster import pair
from tween.ops.warp import backward_warp


class Path(NamedTuple):
    """What moves in every frame, `b n c h w` on one grid: v px a gap, a px a gap^2."""

    velocity: Tensor
    acceleration: Tensor

    def at(self, tau: Tensor) -> Tensor:
        """Displacement after `tau` gaps, `b n 1 1 1`: v tau + a tau^2 / 2."""
        return self.velocity * tau + 0.5 * self.acceleration * tau.square()


def parabola(d_prev: Tensor, d_next: Tensor, before: Tensor, after: Tensor, sure: Tensor) -> Path:
    """The path through displacement `d_prev` at tau = -before, 0 at 0 and `d_next` at tau = after.

    Args:
        d_prev, d_next: `... 2 h w`.
        before, after: > 0, broadcastable.
        sure: in [0, 1] each, `... 2 h w`: of d_prev and of d_next. A doubted one counts less in the velocity, and the
            acceleration fades with either.
    """
    back, forth = -d_prev / before, d_next / after  # mean velocities on both sides
    w_prev, w_next = sure[..., :1, :, :] * after, sure[..., 1:, :, :] * before
    velocity = (w_prev * back + w_next * forth) / (w_prev + w_next).clamp_min(1e-6)
    bend = 2 * (forth - back) / (before + after)
    return Path(velocity, bend * sure.prod(-3, keepdim=True))


def paths(pairs: Pairs, times: Tensor) -> Path:
    """Paths at 1/4, in pixels of 1/4, of all frames at `times` `b n` (in mean gaps)."""
    n, d, sure = times.shape[1], pairs.levels[-1], pairs.trust.sigmoid()
    gap = times.diff(dim=1)[..., None, None, None]
    d_next, d_prev = d[:, : n - 1], d[:, n - 1 :]
    if n == 2:
        return Path(torch.cat((d_next / gap, -d_prev / gap), 1), torch.zeros_like(d))
    both = torch.cat((sure[:, n - 1 : -1], sure[:, 1 : n - 1]), 2)
    inner = parabola(d_prev[:, :-1], d_next[:, 1:], gap[:, :-1], gap[:, 1:], both)
    first, last = (borrowed(inner.acceleration[:, i], x[:, i]) for i, x in ((0, d_next), (-1, d_prev)))
    v_first = d_next[:, 0] / gap[:, 0] - 0.5 * first * gap[:, 0]
    v_last = -d_prev[:, -1] / gap[:, -1] + 0.5 * last * gap[:, -1]
    velocity = torch.cat((v_first[:, None], inner.velocity, v_last[:, None]), 1)
    return Path(velocity, torch.cat((first[:, None], inner.acceleration, last[:, None]), 1))


def borrowed(acceleration: Tensor, displacement: Tensor) -> Tensor:
    """The acceleration `b 2 h w` that the neighbour has where this frame's places go."""
    return backward_warp(acceleration, displacement)


def motion_size(h: int, w: int, area: float) -> tuple[int, int]:
    """Size (h, w), multiples of 32, at which motion of frames of `h` x `w` is estimated: their own up to `area` px."""
    scale = min(1.0, math.sqrt(area / (h * w)))
    return tuple(32 * math.ceil(side * scale / 32 - 1e-6) for side in (h, w))


def enlarged(features: Features, pairs: Pairs, path: Path, quarter: Tensor) -> tuple[Features, Pairs, Path]:
    """What `Trajectory` needs of motion found on smaller copies, at the size of the frames' own `quarter`
    `b n c h w`, which shows it where the edges are."""
    h, w = quarter.shape[-2:]
    ratio = pair(w / path.velocity.shape[-1], h / path.velocity.shape[-2], path.velocity).view(2, 1, 1)
    features = features._replace(quarter=quarter, sixteenth=sized(features.sixteenth, (h // 4, w // 4)))
    path = Path(*(sized(x, (h, w)) * ratio for x in path))
    return features, pairs._replace(hidden=sized(pairs.hidden, (h, w))), path


def sized(x: Tensor, size: tuple[int, int], *, antialias: bool = False) -> Tensor:
    """`b n c h w`, bilinear to `size` (h, w)."""
    out = F.interpolate(x.flatten(0, 1), size, mode="bilinear", antialias=antialias, align_corners=False)
    return out.unflatten(0, x.shape[:2])


class Trajectory(nn.Module):
    """Learned corrections of the paths, and their convex upsampling to the frame's own size (RAFT, ECCV 2020)."""

    def __init__(self, config: SplatConfig) -> None:
        super().__init__()
        a, _, c, _ = config.widths
        hidden, width = config.hidden[1], config.refine[2]
        self.fused = nn.Conv2d(c, hidden, 1)
        self.body = nn.Sequential(conv(a + 3 * hidden + 4, width), conv(width, width))
        self.correction = nn.Conv2d(width, 4, 3, 1, 1)
        self.mask = nn.Conv2d(width, 9 * 16, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, features: Features, pairs: Pairs, path: Path) -> tuple[Path, Tensor, Tensor]:
        """The path at 1/4, corrected; context `b n c h/4 w/4`; and the weights of `convex` `b n 144 h/4 w/4`."""
        n = features.quarter.shape[1]
        nothing = torch.zeros_like(pairs.hidden[:, :1])
        after = torch.cat((pairs.hidden[:, : n - 1], nothing), 1)
        before = torch.cat((nothing, pairs.hidden[:, n - 1 :]), 1)
        fused = up(up(self.fused(features.sixteenth.flatten(0, 1))))
        parts = [features.quarter, before, after, *(x.to(after.dtype) for x in path)]
        x = self.body(torch.cat([p.flatten(0, 1) for p in parts] + [fused.to(after.dtype)], 1))
        change = self.correction(x).float().unflatten(0, (-1, n))
        mask = self.mask(x).unflatten(0, (-1, n))
        path = Path(path.velocity + change[:, :, :2], path.acceleration + change[:, :, 2:])
        return path, x.unflatten(0, (-1, n)), mask


def convex(x: Tensor, mask: Tensor) -> Tensor:
    """`m c h w` four times as large: each new pixel a weighted mean of the 3x3 cells about it; mask `m 144 h w`."""
    m, c, h, w = x.shape
    weight = mask.float().view(m, 1, 9, 4, 4, h, w).softmax(2)
    cells = F.unfold(F.pad(x.float(), (1, 1, 1, 1), mode="replicate"), 3).view(m, c, 9, 1, 1, h, w)
    return (weight * cells).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(m, c, 4 * h, 4 * w)
