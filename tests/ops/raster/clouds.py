"""Clouds to render, and what comes out of them with all gradients."""

from dataclasses import fields

import torch

from tween.ops.raster import Camera, Gaussians, pinhole, render

NAMES = [f.name for f in fields(Gaussians)]


def cloud(n, seed=0, b=2, k=3, dtype=torch.float64, size=0.2):
    """Random needles and blobs about (0, 0, 1), some behind the camera, some beside the picture."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(b, n, *shape, generator=g, dtype=torch.float64)

    means = normal(3) * torch.tensor([0.4, 0.3, 0.5]) + torch.tensor([0.0, 0.0, 1.0])
    values = (means, normal(4), size * normal(3).exp(), normal().sigmoid(), normal(k))
    return Gaussians(*(v.to(dtype) for v in values))


def dense(h, w, frames=1, b=1, k=3, seed=0, dtype=torch.float32):
    """One Gaussian a pixel and frame, half a pixel wide, as frames are lifted."""
    g = torch.Generator().manual_seed(seed)
    camera, n = pinhole(h, w), frames * h * w
    y, x = (
        t.flatten().repeat(frames) + 0.5
        for t in torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    )
    z = 1 + 0.2 * torch.rand(b, n, generator=g)
    shift = 0.3 * torch.randn(b, n, 2, generator=g)
    means = torch.stack(
        ((x - camera.cx + shift[..., 0]) * z / camera.fx, (y - camera.cy + shift[..., 1]) * z / camera.fy, z),
        -1,
    )
    scales = (0.5 * z / camera.fx)[..., None].expand(b, n, 3)
    quats = torch.tensor([1.0, 0, 0, 0]).expand(b, n, 4)
    values = (means, quats, scales, torch.full((b, n), 0.9), torch.rand(b, n, k, generator=g))
    return Gaussians(*(v.to(dtype) for v in values)), camera


def values_and_gradients(gaussians, camera, **options):
    """Pictures, and gradients of a fixed weighted sum of them, as one dict."""
    leaves = gaussians.map(lambda t: t.detach().clone().requires_grad_())
    rendered = render(leaves, camera, **options)
    g = torch.Generator().manual_seed(1)
    weights = [torch.rand(t.shape, generator=g, dtype=torch.float64).to(t) for t in rendered]
    total = sum((t * w).sum() for t, w in zip(rendered, weights, strict=True))
    gradients = torch.autograd.grad(total, [getattr(leaves, name) for name in NAMES])
    return rendered._asdict() | {f"d {name}": d for name, d in zip(NAMES, gradients, strict=True)}


def close(got, want, tolerance):
    """Every entry within `tolerance` of its largest value."""
    for name, value in want.items():
        value, computed = value.detach().double().cpu(), got[name].detach().double().cpu()
        assert computed.shape == value.shape, name
        largest, error = (t.abs().max() if t.numel() else 0.0 for t in (value, computed - value))
        assert error <= tolerance * max(1, largest), f"{name}: {error} of {largest}"


ODD = Camera(30.0, 35.0, 10.0, 9.0, 19, 23)
