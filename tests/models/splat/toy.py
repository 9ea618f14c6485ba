"""A small splat network, and frames for it."""

import torch
import torch.nn.functional as F

from tween.models.splat.config import TOY
from tween.models.splat.net import SplatNet


def net(seed: int = 0, live: bool = False) -> SplatNet:
    """As built; `live`: what is built as zero is not, as after some training."""
    torch.manual_seed(seed)
    made = SplatNet(TOY)
    if live:
        with torch.no_grad():
            for p in made.parameters():
                if p.ndim > 1 and not p.any():
                    p.normal_(std=0.02)
    return made.eval()


def clip(b: int = 1, n: int = 4, h: int = 32, w: int = 64, step: tuple[int, int] = (2, 1)) -> torch.Tensor:
    """`b n 3 h w`: a soft texture that moves by `step` (x, y) px a frame."""
    dx, dy = step
    noise = torch.rand(
        b, 3, (h + n * dy) // 4 + 4, (w + n * dx) // 4 + 4, generator=torch.Generator().manual_seed(1)
    )
    wide = F.interpolate(noise, scale_factor=4, mode="bicubic").clamp(0, 1)
    return torch.stack([wide[..., i * dy : i * dy + h, i * dx : i * dx + w] for i in range(n)], 1)


def times(b: int = 1, n: int = 4) -> torch.Tensor:
    """`b n` from 0 to 1."""
    return torch.linspace(0, 1, n).expand(b, n)
