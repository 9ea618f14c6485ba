"""3-D Gaussians rendered to pictures, with gradients: projection, tiles, compositing."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal, get_args

import torch
from torch import Tensor

from tween.core import TweenError
from tween.ops.raster.fused import TRITON, composite_fused
from tween.ops.raster.projection import Projected, project
from tween.ops.raster.reference import composite_reference
from tween.ops.raster.scene import Camera, Gaussians, Rendered, moved, pair, pinhole
from tween.ops.raster.tiles import composite
from tween.ops.raster.with_gsplat import composite_gsplat

Backend = Literal["auto", "torch", "triton", "gsplat", "reference"]
TILE = {"cpu": 4, "cuda": 8}  # side of a tile: the smaller, the fewer pixels a small Gaussian is tried on

__all__ = [
    "Camera",
    "Gaussians",
    "Projected",
    "Rendered",
    "merge",
    "moved",
    "pair",
    "pinhole",
    "project",
    "render",
]


def render(
    gaussians: Gaussians,
    camera: Camera,
    *,
    background: Tensor | None = None,
    low_pass: float = 0.3,
    compensate: bool = False,
    backend: Backend = "auto",
    tile: int | None = None,
) -> Rendered:
    """Pictures of clouds, composited front to back (3D Gaussian Splatting, Kerbl et al. 2023).

    Differentiable in all but the camera; no gradient flows through the order of depth or into what is not seen.

    Args:
        gaussians: b clouds of n, in the camera's space; rendered in fp32 at least.
        camera: one for all of them.
        background: `k` or `b k`, behind all; None is 0.
        low_pass, compensate: see `project`.
        backend: "auto" is Triton on CUDA where it is installed, else PyTorch; "reference" tries every Gaussian on every
            pixel.
        tile: side of a square tile, px; None is what is fast on this device.

    Raises:
        TweenError: on what does not fit together, or a backend that this machine has not.
    """
    _check(gaussians, background, low_pass, backend, tile)
    with torch.autocast(gaussians.means.device.type, enabled=False):
        g = gaussians.map(lambda t: t.float() if t.dtype in (torch.float16, torch.bfloat16) else t)
        if backend == "gsplat":
            out = composite_gsplat(g, camera, low_pass=low_pass, compensate=compensate, side=tile or 16)
        else:
            seen = project(g, camera, low_pass=low_pass, compensate=compensate)
            channels = torch.cat(
                (g.colour, seen.depth[..., None], torch.ones_like(seen.depth)[..., None]), -1
            )
            out = _composite(seen, channels, camera, backend, tile or TILE.get(g.means.device.type, 8))
        colour, depth, alpha = out.split((g.colour.shape[-1], 1, 1), 1)
        if background is not None:
            behind = background.to(colour).expand(colour.shape[:2])[..., None, None]
            colour = colour + (1 - alpha) * behind
        return Rendered(colour, alpha, depth / alpha.clamp_min(1e-10))


def _composite(seen: Projected, channels: Tensor, camera: Camera, backend: Backend, tile: int) -> Tensor:
    fused = TRITON and channels.is_cuda and channels.dtype == torch.float32
    if backend == "triton" or (backend == "auto" and fused):
        return composite_fused(seen, channels, camera, tile)
    if backend == "reference":
        return composite_reference(seen, channels, camera)
    return composite(seen, channels, camera, tile)


def _check(g: Gaussians, background: Tensor | None, low_pass: float, backend: str, tile: int | None) -> None:
    tensors = [getattr(g, f.name) for f in fields(g)]
    kinds = {f"{t.dtype} on {t.device}" for t in tensors}
    if len(kinds) > 1 or not g.means.is_floating_point():
        raise TweenError(
            f"render needs all tensors of one floating-point type on one device, but got {sorted(kinds)}"
        )
    if backend not in get_args(Backend):
        raise TweenError(f"backend must be one of {', '.join(get_args(Backend))}, but is {backend!r}")
    if low_pass < 0 or (tile is not None and tile < 1):
        raise TweenError(
            f"render needs low_pass of 0 or more and tiles of at least 1 px, but got {low_pass} and {tile}"
        )
    b, k = g.colour.shape[0], g.colour.shape[-1]
    if background is not None and background.shape not in ((k,), (b, k)):
        raise TweenError(
            f"background needs shape ({k},) or ({b}, {k}), one value a channel, but has {tuple(background.shape)}"
        )
