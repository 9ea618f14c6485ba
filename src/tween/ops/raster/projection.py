"""From Gaussians in space to ellipses on the picture (EWA splatting)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.ops.raster.scene import Camera, Gaussians, pair

NEAR = 0.01  # what is nearer is not seen
LEAST = 1 / 255  # an alpha must be above it
MOST = 0.999  # no alpha is above it
BESIDE = 0.3  # of half the field of view, on each side: the local affine map is taken no further out


@dataclass(frozen=True)
class Projected:
    """Ellipses on the picture; alpha of a pixel at d from the middle is `opacity exp(-d^T conic d / 2)`.

    Attributes:
        xy: `b n 2`, the middles, px.
        conic: `b n 3`, xx, xy, yy of the inverse covariance, px^-2.
        opacity: `b n`.
        depth: `b n`, z; 1 for what is behind the camera.
        extent: `b n 2`, half the box in which alpha reaches 1/255, px; 0 where a Gaussian is not seen at all. No
            gradient.
    """

    xy: Tensor
    conic: Tensor
    opacity: Tensor
    depth: Tensor
    extent: Tensor


def project(
    gaussians: Gaussians, camera: Camera, *, low_pass: float = 0.3, compensate: bool = False
) -> Projected:
    """Sigma' = J R S S R^T J^T + low_pass I (Zwicker et al. 2001; Kerbl et al. 2023), J the derivative of (f x / z).

    Not seen, with no gradient: z <= 0.01, opacity below 1/255, no pixel in reach, or anything not finite.

    Args:
        gaussians, camera: in the camera's space.
        low_pass: px^2, variance of the pixel's own filter.
        compensate: scale opacity by sqrt(det Sigma' before / after the low-pass), so that what is smaller than a pixel
            fades instead of growing (Mip-Splatting, Yu et al. 2024).
    """
    g = gaussians
    front = g.means.isfinite().all(-1) & (g.means[..., 2] > NEAR)
    means = torch.where(front[..., None], g.means, 1.0)
    slope, z = means[..., :2] / means[..., 2:], means[..., 2]
    focal, centre = pair(camera.fx, camera.fy, slope), pair(camera.cx, camera.cy, slope)
    u, v = _axes(g.quats, g.scales, slope, z, camera)

    xx, xy, yy = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    det_before = xx * yy - xy * xy
    xx, yy = xx + low_pass, yy + low_pass
    det = (xx * yy - xy * xy).clamp_min(1e-10)
    opacity = g.opacity
    if compensate:
        opacity = opacity * (det_before / det).clamp_min(1e-12).sqrt()
    conic = torch.stack((yy, -xy, xx), -1) / det[..., None]
    xy = slope * focal + centre
    with torch.no_grad():
        reach = (2 * (opacity / LEAST).log()).clamp_min(0).sqrt() * (1 + 1e-4)
        extent = reach[..., None] * torch.stack((xx, yy), -1).sqrt()
        size = pair(camera.width, camera.height, xy)
        inside = ((xy + extent > 0) & (xy - extent < size)).all(-1)
        seen = front & inside & (opacity >= LEAST) & conic.isfinite().all(-1)
        extent = torch.where(seen[..., None], extent, 0.0)
    return Projected(xy=xy, conic=conic, opacity=opacity, depth=z, extent=extent)


def _axes(quats: Tensor, scales: Tensor, slope: Tensor, z: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """The two rows of J R S, `b n 3` each: how the three axes of a Gaussian look on the picture, px."""
    x, y, width, height = *slope.unbind(-1), camera.width / camera.fx, camera.height / camera.fy
    left, top = camera.cx / camera.fx, camera.cy / camera.fy
    x = x.clamp(-left - BESIDE * width / 2, width - left + BESIDE * width / 2)
    y = y.clamp(-top - BESIDE * height / 2, height - top + BESIDE * height / 2)
    right, down, ahead = rotation(quats).mul(scales[..., None, :]).unbind(-2)
    u = (right - x[..., None] * ahead) * (camera.fx / z)[..., None]
    return u, (down - y[..., None] * ahead) * (camera.fy / z)[..., None]


def rotation(quats: Tensor) -> Tensor:
    """`... 4`, w first, of any length -> `... 3 3`."""
    w, x, y, z = F.normalize(quats, dim=-1).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
