"""What a splat network is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from tween.nn.lgs import BlockConfig


@dataclass(frozen=True, kw_only=True)
class SplatConfig:
    """N frames to moving Gaussians.

    Attributes:
        widths: of the features at 1/4 and 1/8 (convolutions), 1/16 and 1/32 (SS2D).
        alone: SS2D blocks of each frame alone at 1/16 and at 1/32.
        fusion: blocks over all frames together: LGS at 1/32, Mamba2 at 1/16.
        block: the LGS blocks.
        d_state, headdim, chunk: of the other Mamba2s.
        key: channels by which frames are matched.
        refine: widths of the motion refiners at 1/16, 1/8, 1/4.
        hidden: state that one refiner hands to the next.
        head: features of a Gaussian, at the frame's own size.
        unet: widths of the last refinement at 1/2, 1/4, 1/8.
        pixels: least and greatest standard deviation of a Gaussian in the picture, px.
        sigma: the one they begin with, px.
        opacity: that they begin with. Low ones leak what is behind.
        lifetime: power p of the temporal opacity 1 - |t - t_i|^p that they begin with.
        area: px of the copies on which motion of larger frames is estimated. Networks trained on crops have never seen
            how far things move at 4K; above 768 x 768 matching would also pool its places. Of 360 x 360, 480 x 480,
            575 x 575 and 768 x 768 the released network does best at the first.
        low_pass: variance added to every footprint, px^2. 3DGS takes 0.3 against aliasing of distant Gaussians; ours
            are a pixel wide, and 0.3 would blur the picture they were lifted from.
    """

    widths: tuple[int, int, int, int] = (32, 64, 96, 96)
    alone: tuple[int, int] = (1, 1)
    fusion: tuple[int, int] = (2, 1)
    block: BlockConfig = field(default_factory=BlockConfig)
    d_state: int = 32
    headdim: int = 32
    chunk: int = 64
    key: int = 32
    refine: tuple[int, int, int] = (96, 72, 48)
    hidden: tuple[int, int] = (48, 32)
    head: int = 16
    unet: tuple[int, int, int] = (32, 64, 96)
    pixels: tuple[float, float] = (0.1, 2.0)
    sigma: float = 0.3
    opacity: float = 0.95
    lifetime: float = 2.0
    area: int = 360 * 360
    low_pass: float = 0.03


TOY = SplatConfig(
    widths=(8, 8, 16, 16),
    alone=(1, 1),
    fusion=(1, 1),
    block=BlockConfig(headdim=16, d_state=8, chunk=16),
    d_state=8,
    headdim=16,
    chunk=16,
    key=8,
    refine=(16, 8, 8),
    hidden=(8, 8),
    head=4,
    unet=(8, 8, 8),
)
"""Small enough for a test."""
