"""Networks small enough to run in a test, of every shape that the real ones have."""

from dataclasses import replace

import torch

from tween.models.interp.config import NetConfig, with_block
from tween.models.interp.fast import FastConfig, FastNet
from tween.models.interp.quality import QualityConfig, QualityNet
from tween.nn.lgs import BlockConfig

TOY = NetConfig(width=16, depths=(1, 2, 1), flow_widths=(8, 8, 8), context_width=8, scale_list=(2, 1, 1))
TOY = with_block(TOY, headdim=16, d_state=8, chunk=16, drop_path=0.0)
TOY1 = replace(TOY, phase=1)


def frames(
    b: int = 2, h: int = 16, w: int = 24, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two frames and one time each."""
    g = torch.Generator().manual_seed(seed)
    t = torch.linspace(0.25, 0.75, b)
    return torch.rand(b, 3, h, w, generator=g), torch.rand(b, 3, h, w, generator=g), t


TOY_FAST = FastConfig(
    pyramid=(8, 8, 16, 16),
    key=8,
    refine=(16, 8, 8),
    hidden=(8, 8),
    depth=(1, 1, 1),
    synthesis=8,
    area=64 * 96,
    block=BlockConfig(headdim=16, d_state=8, chunk=16),
)


def fast_net(seed: int = 0) -> FastNet:
    """A small `fast` whose heads are not zero, as they are at the start of training."""
    torch.manual_seed(seed)
    return _live(FastNet(TOY_FAST))


TOY_QUALITY = QualityConfig(
    fast=TOY_FAST, context=16, depths=(1, 1, 1), block=TOY_FAST.block, refine=(8, 8, 8, 16)
)


def quality_net(seed: int = 0) -> QualityNet:
    """A small `quality`, likewise."""
    torch.manual_seed(seed)
    return _live(QualityNet(TOY_QUALITY))


def _live(net: FastNet | QualityNet) -> FastNet | QualityNet:
    for name, p in net.named_parameters():
        if "head" in name and p.ndim > 1:
            torch.nn.init.normal_(p, std=0.02)
    return net.eval()
