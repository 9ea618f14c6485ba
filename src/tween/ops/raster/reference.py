"""Every Gaussian against every pixel: slow, plain, and what the others must equal."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.ops.raster.projection import LEAST, MOST, Projected
from tween.ops.raster.scene import Camera

DARK = 1e-4  # the Gaussian that would leave no more light than this is not drawn, nor is any behind it


def composite_reference(seen: Projected, channels: Tensor, camera: Camera) -> Tensor:
    """C = sum_i T_i alpha_i c_i over Gaussians by rising depth, T_i = prod_(j < i) (1 - alpha_j).

    Args:
        seen: of `project`, n Gaussians.
        channels: `b n k`, c; one of them 1 gives what is covered.

    Returns:
        C, `b k h w`.
    """
    order = torch.where((seen.extent > 0).all(-1), seen.depth, torch.inf).argsort(dim=1, stable=True)
    alpha = torch.stack([a[i] for a, i in zip(alphas(seen, camera), order, strict=True)])
    channels = torch.stack([c[i] for c, i in zip(channels, order, strict=True)])
    after = (1 - alpha).cumprod(1)
    before = torch.cat((torch.ones_like(after[:, :1]), after[:, :-1]), 1)
    weight = torch.where(after > DARK, before * alpha, 0.0)
    return torch.einsum("bnhw,bnk->bkhw", weight, channels)


def alphas(seen: Projected, camera: Camera) -> Tensor:
    """`b n h w`: what each Gaussian covers of each pixel."""
    like = {"device": seen.xy.device, "dtype": seen.xy.dtype}
    x = torch.arange(camera.width, **like) + 0.5 - seen.xy[..., :1]
    y = torch.arange(camera.height, **like) + 0.5 - seen.xy[..., 1:]
    x, y = x[..., None, :], y[..., :, None]
    xx, xy, yy = (c[..., None, None] for c in seen.conic.unbind(-1))
    alpha = seen.opacity[..., None, None] * (-0.5 * (xx * x * x + yy * y * y) - xy * x * y).exp()
    drawn = (alpha > LEAST) & (seen.extent > 0).all(-1)[..., None, None]
    return torch.where(drawn, alpha.clamp_max(MOST), 0.0)
