"""What moving Gaussians should be like, and how much each of these wishes counts.

Maps are `b c h w` floats; pictures in [0, 1], displacements in px, depth as the log of its inverse (disparity).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from tween.losses.image import charbonnier, soft_census
from tween.ops.warp import backward_warp

SHIFTS = (1, 4, 16)  # px between the places whose depths are ranked


def gaussian_flow(displacement: Tensor, truth: Tensor, known: Tensor, *, eps: float = 0.1) -> Tensor:
    """End-point error of the Gaussians' own displacements in px (GaussianFlow, Gao et al. 2024, of isotropic ones
    before they are splatted: each Gaussian has one motion, whether it is seen or not).

    Args:
        displacement, truth: `b ... 2 h w`.
        known: `b`, 1 where the truth is one.
    """
    apart = ((displacement.float() - truth.float()).square().sum(-3) + eps**2).sqrt() - eps
    heard = known.view(-1, *[1] * (apart.ndim - 1)).float()
    return (apart * heard).sum() / (heard.expand_as(apart).sum()).clamp_min(1)


def followed(frame: Tensor, other: Tensor, displacement: Tensor) -> Tensor:
    """How far `frame` differs from what `other` shows where its places have gone: Charbonnier, and soft census over 5x5
    windows, which forgives a change of light. What is hidden in `other` counts little, since both are robust.

    Args:
        frame, other: `b 3 h w`. displacement: `b 2 h w`, from `frame` into `other`.
    """
    there = backward_warp(other.float(), displacement)
    grey, seen = (255 * x.float().mean(1, keepdim=True) for x in (frame, there))
    return charbonnier(there, frame) + 0.05 * soft_census(seen, grey, 2)


def depth_smoothness(disparity: Tensor, image: Tensor, *, edge: float = 10.0) -> Tensor:
    """Mean absolute change of log disparity between neighbours, forgiven by e^(-edge |change of the picture|)."""
    total = disparity.new_zeros(())
    for dim in (-1, -2):
        weight = torch.exp(-edge * image.float().diff(dim=dim).abs().mean(1, keepdim=True))
        total = total + (weight * disparity.float().diff(dim=dim).abs()).mean()
    return total


def depth_order(disparity: Tensor, layer: Tensor, known: Tensor, *, margin: float = 0.2) -> Tensor:
    """Nearer layers should have the greater disparity: a hinge on pairs of places some px apart.

    Sorting a cloud by depth has no gradient, so what lies before what must be said: by the layers of made scenes.

    Args:
        disparity: `b 1 h w`, log. layer: `b 1 h w`, greater is nearer. known: `b`.
    """
    total, count = disparity.new_zeros(()), disparity.new_zeros(())
    heard = known.view(-1, 1, 1, 1).float()
    for step in SHIFTS:
        for dim in (-1, -2):
            size = disparity.shape[dim] - step
            if size < 1:
                continue
            d, k = (x.narrow(dim, step, size) - x.narrow(dim, 0, size) for x in (disparity, layer.float()))
            differs = (k != 0) * heard
            total = total + (differs * torch.relu(margin - k.sign() * d)).sum()
            count = count + differs.sum()
    return total / count.clamp_min(1)


def occlusion_order(disparity: Tensor, other: Tensor, displacement: Tensor, back: Tensor) -> Tensor:
    """What comes in front of a place is nearer than it: where the way there and back does not return, `other` shows an
    occluder, so its disparity there should be greater; elsewhere it is the same thing, at the same depth.

    Args:
        disparity, other: `b 1 h w` log disparity of a frame and of its neighbour.
        displacement, back: `b 2 h w`, from the frame into the neighbour and the other way; no gradient goes into them.
    """
    displacement, back = displacement.detach(), back.detach()
    lost = (displacement + backward_warp(back, displacement)).norm(dim=1, keepdim=True)
    hidden = torch.sigmoid(2 * (lost - 2))
    there = backward_warp(other, displacement) - disparity
    return (hidden * torch.relu(0.1 - there) + (1 - hidden) * there.abs()).mean()


def temporal_consistency(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference of two accelerations `b 2 h w` px a gap^2 of the same thing, softened above 1 px: motion
    may be curved, but alike in neighbouring frames (a pull to straight lines would fight what N frames are for)."""
    square = (first - second).float().square().sum(1)
    return (square / (1 + square)).mean()


def coverage(alpha: Tensor, *, least: float = 0.5) -> Tensor:
    """Mean lack of coverage below `least`: what opacity is for. (A pull of the mean opacity to 1/2 lets
    the background through.)"""
    return torch.relu(least - alpha.float()).mean()


def scale_hinge(size: Tensor, low: float = 0.2, high: float = 1.0) -> Tensor:
    """Mean excess of footprints, px, beyond [low, high]."""
    return (torch.relu(low - size.float()) + torch.relu(size.float() - high)).mean()


def fading(step: int, end: int) -> float:
    """Weight of a supervision that ends: half a cosine from 1 at step 0 to 0 from step `end` on."""
    return 0.5 * (1 + math.cos(math.pi * step / end)) if step < end else 0.0


def kendall(terms: Mapping[str, Tensor], logs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Terms weighted by their uncertainty (Kendall, Gal and Cipolla, CVPR 2018): e^(-s) L / 2 + s / 2.

    s is clamped to [-10, 10]: as a term goes to 0 its weight would grow without bound. The sum may be negative. Leave
    out a term whose own weight is 0: its s would fall for ever.

    Args:
        terms: by name. logs: s of each, scalars.
    """
    s = {name: logs[name].clamp(-10, 10) for name in terms}
    return {name: 0.5 * torch.exp(-s[name]) * term + 0.5 * s[name] for name, term in terms.items()}
