"""The forward process: keyframes stay, the rest becomes what a fill makes of them, with noise or without. What is
given is never touched."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.impute.fills import Fill, Times, check, like, linear, seconds
from tween.models.impute.fills_patches import PatchFill, idw, spacing

Noise = Callable[[Tensor], Tensor]
"""Distances `b n` to the nearest given frame or patch (0 for these) -> standard deviations `b n`."""


def none(distance: Tensor) -> Tensor:
    """No noise."""
    return torch.zeros_like(distance)


def gaussian(sigma: float) -> Noise:
    """The same noise on all that is missing."""
    return lambda distance: sigma * (distance > 0)


def by_distance(sigma: float, reach: float | None = None) -> Noise:
    """Noise that grows with the distance to what is given, up to `sigma` at `reach` and beyond.

    Args:
        reach: in the unit of the distance; None: what lies farthest in each sample.
    """

    def scale(distance: Tensor) -> Tensor:
        far = distance.amax(1, keepdim=True) if reach is None else torch.full_like(distance[:, :1], reach)
        return sigma * (distance / far.clamp_min(torch.finfo(distance.dtype).tiny)).clamp(max=1)

    return scale


def of_mode(mode: str, sigma: float) -> Noise:
    """By the plan's names: `none`, `dist` or `gauss`."""
    return {"none": none, "dist": by_distance(sigma), "gauss": gaussian(sigma)}[mode]


def corrupt(
    clip: Tensor,
    known: Tensor,
    *,
    fill: Fill = linear,
    noise: Noise = none,
    times: Times = None,
    proposals: Tensor | None = None,
    replace: float = 0.0,
    given: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """What a refiner begins with, and which of its frames are to be trusted.

    Args:
        clip: `b t c h w`, pictures or latents.
        known: `b t` bool, the keyframes; at least one a sample.
        fill: what the others become; it sees the keyframes only.
        noise: how much is added to the others, by their distance in time to the nearest keyframe.
        times: of the frames, see `fills`.
        proposals: `b t c h w`, keyframes as an earlier stage makes them. Each keyframe is replaced by its proposal
            with probability `replace` (scheduled sampling: Bengio et al., NeurIPS 2015), and is then shown, and filled
            from, but no longer known: a proposal may be changed.
        given: `b t` bool: keyframes that are never replaced.

    Returns:
        (coarse `b t c h w`, known `b t`): `coarse == clip` wherever `known`.
    """
    check(clip, known)
    at = seconds(times, known)
    far = (at[:, None] - at).abs().expand(len(known), -1, -1)
    swapped = _swapped(known, proposals, replace, given, generator)
    if proposals is not None:
        clip = torch.where(like(swapped, clip).bool(), proposals.to(clip), clip)
    coarse = fill(clip, known, times)
    return _noised(coarse, known, noise(_nearest(far, known)), generator), known & ~swapped


def corrupt_patches(
    patches: Tensor,
    known: Tensor,
    *,
    fill: PatchFill = idw,
    noise: Noise = none,
    grid: tuple[int, int] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """The same for patches `b n d` of pictures; distances are in patches of the grid (None: a square one).

    Returns:
        (coarse `b n d`, known `b n`): `coarse == patches` wherever `known`.
    """
    check(patches, known)
    far = spacing(patches, grid).double().expand(len(known), -1, -1)
    coarse = fill(patches, known, grid=grid)
    return _noised(coarse, known, noise(_nearest(far, known)), generator), known


def _nearest(far: Tensor, known: Tensor) -> Tensor:
    """`b n`: distance to the nearest given one, 0 for these; `far` is `b n n`."""
    return far.masked_fill(~known[:, None], torch.inf).amin(-1)


def _noised(coarse: Tensor, known: Tensor, sigma: Tensor, generator: torch.Generator | None) -> Tensor:
    sigma = sigma.masked_fill(known, 0)
    if not bool(sigma.any()):
        return coarse
    drawn = torch.randn(coarse.shape, generator=generator, device=coarse.device, dtype=coarse.dtype)
    return torch.where(like(known, coarse).bool(), coarse, coarse + like(sigma, coarse) * drawn)


def _swapped(
    known: Tensor,
    proposals: Tensor | None,
    replace: float,
    given: Tensor | None,
    generator: torch.Generator | None,
) -> Tensor:
    """`b t` bool: keyframes whose place a proposal takes."""
    if not 0 <= replace <= 1 or (replace and proposals is None):
        raise TweenError(
            f"expected a probability in [0, 1] with proposals to take, but got {replace} and "
            f"{'none' if proposals is None else 'proposals'}"
        )
    if not replace:
        return torch.zeros_like(known)
    drawn = torch.rand(known.shape, generator=generator, device=known.device) < replace
    return known & drawn if given is None else known & drawn & ~given
