"""3-D Gaussians rendered to pictures, with gradients: projection, tiles, compositing."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from tween.ops.raster.projection import Projected, project
from tween.ops.raster.reference import composite_reference
from tween.ops.raster.scene import Camera, Gaussians, Rendered, merge, moved, pinhole
from tween.ops.raster.tiles import composite

TILE = {"cpu": 4, "cuda": 8}

__all__ = ["Camera", "Gaussians", "Projected", "Rendered", "merge", "moved", "pinhole", "project", "render"]


def render(
    gaussians: Gaussians,
    camera: Camera,
    *,
    background: Tensor | None = None,
    low_pass: float = 0.3,
    compensate: bool = False,
    backend: Literal["auto", "torch", "gsplat", "reference"] = "auto",
    tile: int | None = None,
) -> Rendered:
    """Pictures of clouds, front to back (3D Gaussian Splatting, Kerbl et al. 2023).

    Differentiable in everything but the camera; nothing flows through the order of depth and what is not seen.

    Args:
        gaussians: b clouds of n, in the camera's space; rendered in fp32 at least.
        camera: for all of them.
        background: `k` or `b k`, behind all; None is 0.
        low_pass, compensate: see `project`.
        backend: which code composites.
        tile: side of a square tile, px; None is what is fast on this device.

    Raises:
        TweenError: on shapes that do not fit, or a backend that this machine has not.
    """
    with torch.autocast(gaussians.means.device.type, enabled=False):
        g = gaussians.map(lambda t: t.float() if t.dtype in (torch.float16, torch.bfloat16) else t)
        seen = project(g, camera, low_pass=low_pass, compensate=compensate)
        channels = torch.cat((g.colour, seen.depth[..., None], torch.ones_like(seen.depth)[..., None]), -1)
        if backend == "reference":
            out = composite_reference(seen, channels, camera)
        else:
            out = composite(seen, channels, camera, tile or TILE[g.means.device.type])
    colour, depth, alpha = out.split((g.colour.shape[-1], 1, 1), 1)
    if background is not None:
        colour = colour + (1 - alpha) * background.to(colour).expand(colour.shape[:2])[..., None, None]
    return Rendered(colour, alpha, depth / alpha.clamp_min(1e-10))
