"""Features of one frame alone, to be carried along the flow for the refinement."""

from __future__ import annotations

from torch import Tensor, nn

from tween.models.interp.backbone import STRIDES
from tween.models.interp.flow import conv
from tween.ops.warp import backward_warp, resize_flow


class ContextNet(nn.Module):
    """Three levels of two 3x3 convolutions each, at 1/s, 1/2s and 1/4s of the frame, widths c, 2c, 4c."""

    def __init__(self, width: int = 32, stem_stride: int = 1) -> None:
        super().__init__()
        self.stem_stride = stem_stride
        widths = (3, width, 2 * width, 4 * width)
        strides = (STRIDES[stem_stride], (2, 1), (2, 1))
        self.levels = nn.ModuleList(
            nn.Sequential(conv(a, b, s[0]), conv(b, b, s[1]))
            for a, b, s in zip(widths, widths[1:], strides, strict=False)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """`b 3 h w` -> three levels; nothing here depends on the flow."""
        features = []
        for level in self.levels:
            image = level(image)
            features.append(image)
        return features

    def warp(self, features: list[Tensor], flow: Tensor) -> list[Tensor]:
        """Carry each level along `flow` `b 2 h w` (px of the full frame)."""
        return [
            backward_warp(level, resize_flow(flow, 1 / (self.stem_stride * 2**i)))
            for i, level in enumerate(features)
        ]
