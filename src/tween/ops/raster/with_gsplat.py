"""The same pictures by gsplat (Ye et al., JMLR 2025), where it is installed and there is CUDA."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from tween.core import TweenError
from tween.ops.raster.projection import NEAR
from tween.ops.raster.scene import Camera, Gaussians


def composite_gsplat(
    gaussians: Gaussians, camera: Camera, *, low_pass: float, compensate: bool, side: int
) -> Tensor:
    """Colours, sum of weighted depth and alpha, `b k+2 h w`, by gsplat's own projection and compositing.

    Raises:
        TweenError: without CUDA, without the package or its compiled part, or on anything but fp32.
    """
    g, b = gaussians, len(gaussians.means)
    rasterization = _rasterization(g.means)
    intrinsics = ((camera.fx, 0, camera.cx), (0, camera.fy, camera.cy), (0, 0, 1))
    view, intrinsics = torch.eye(4).to(g.means), torch.tensor(intrinsics).to(g.means)
    colour, alpha, _ = rasterization(
        means=g.means,
        quats=g.quats,
        scales=g.scales,
        opacities=g.opacity,
        colors=g.colour,
        viewmats=view.expand(b, 1, 4, 4).contiguous(),
        Ks=intrinsics.expand(b, 1, 3, 3).contiguous(),
        width=camera.width,
        height=camera.height,
        near_plane=NEAR,
        eps2d=low_pass,
        packed=False,
        tile_size=side,
        render_mode="RGB+D",
        rasterize_mode="antialiased" if compensate else "classic",
    )
    return torch.cat((colour, alpha), -1)[:, 0].permute(0, 3, 1, 2)


def _rasterization(means: Tensor) -> Callable[..., tuple[Tensor, Tensor, dict]]:
    if not means.is_cuda or means.dtype != torch.float32:
        raise TweenError(
            f"backend 'gsplat' renders float32 on CUDA only, but the Gaussians are {means.dtype} on {means.device}; "
            "move them there, or take backend 'torch'"
        )
    if find_spec("gsplat") is None:
        raise TweenError(
            "backend 'gsplat' needs the package gsplat, which is not installed; "
            "install tween-video[splat], or take backend 'auto'"
        )
    from gsplat import rasterization
    from gsplat.cuda._backend import _C

    if _C is None:
        raise TweenError(
            "backend 'gsplat' needs gsplat's CUDA code, which is not built because no CUDA toolkit was found; "
            "put nvcc on the PATH, or take backend 'auto'"
        )
    return rasterization
