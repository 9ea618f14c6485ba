"""What moving Gaussians have to beat: the clouds of two frames, mixed Gaussian by Gaussian without any motion."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from tween.models.splat.config import SplatConfig
from tween.models.splat.filler import positions
from tween.ops.raster import Gaussians, pair, pinhole, render
from tween.ops.warp import pixel_grid


class IndexLerp:
    """Gaussian i of frame 0 fades into Gaussian i of frame 1: same pixel, so nothing moves and colours cross-fade."""

    past = future = multiple = 1
    bytes_per_pixel = 600.0

    def __init__(self, config: SplatConfig | None = None) -> None:
        self.config = config or SplatConfig()

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> None:
        """Nothing is remembered."""

    @torch.inference_mode()
    def fill(
        self,
        state: None,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, None]:
        """As `Filler.fill`, with n = 2."""
        made = [
            self.shown(known[:, 0].float().lerp(known[:, 1].float(), t)) for t in positions(known_t, query_t)
        ]
        return torch.stack(made, 1).to(known.dtype), None

    def shown(self, colour: Tensor) -> Tensor:
        """One Gaussian a pixel of `b 3 h w`, at depth 1, seen."""
        (b, _, h, w), c = colour.shape, self.config
        eye = pinhole(h, w)
        place = (pixel_grid(h, w, colour.device) + 0.5).flatten(2).mT - pair(eye.cx, eye.cy, colour)
        one = colour.new_ones(b, h * w, 1)
        seen = render(
            Gaussians(
                means=torch.cat((place.expand(b, -1, -1) / eye.fx, one), 2),
                quats=colour.new_tensor((1.0, 0, 0, 0)).expand(b, h * w, 4),
                scales=one.expand(-1, -1, 3) * c.sigma / eye.fx,
                opacity=one[..., 0] * c.opacity,
                colour=colour.flatten(2).mT,
            ),
            eye,
            low_pass=c.low_pass,
        )
        return (seen.colour / seen.alpha.clamp_min(1e-3)).clamp(0, 1)
