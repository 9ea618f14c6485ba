"""Preset `quality`: `fast`, and a refinement that begins by changing nothing.

`fast` inside gives motion and a first picture. Context of each frame, once a frame; LGS blocks in which the contexts
of both frames see each other, once a pair; both brought to t along the motion, and a U-Net that sees them with the
pictures and corrects flow, blend and residual. Its last layer is zero at first: untrained, `quality` is `fast`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.models.interp import fast
from tween.models.interp.context import ContextNet
from tween.models.interp.ends import Pace, faded, paced
from tween.models.interp.fast import FastConfig, FastNet, Filled, beside, motion_size, rescale_flow
from tween.models.interp.match import Motion
from tween.models.interp.refine import UNetRefine
from tween.nn.lgs import BlockConfig, LGSBlock
from tween.ops.warp import backward_warp

FLOW = 1 / 16  # brings flow of a few pixels to the range of the other channels


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """`fast` inside, and what refines it.

    Attributes:
        context: width of a frame's context at 1/4; twice at 1/8, four times at 1/16.
        depths: LGS blocks at 1/4, 1/8, 1/16; on a CPU one at 1/4 takes as long as the others together.
        refine: widths of the U-Net at 1/2, 1/4, 1/8, 1/16.
    """

    fast: FastConfig = field(default_factory=FastConfig)
    context: int = 32
    depths: tuple[int, int, int] = (0, 1, 2)
    block: BlockConfig = field(default_factory=BlockConfig)
    refine: tuple[int, int, int, int] = (32, 64, 96, 128)

    @property
    def area(self) -> int:
        """Of the picture that motion is estimated at."""
        return self.fast.area


class Features(NamedTuple):
    """One frame: its features in `fast`, and its context `b c h w` at 1/4, 1/8, 1/16 of its own size."""

    fast: fast.Features
    context: tuple[Tensor, ...]


class Pair(NamedTuple):
    """Two frames: their motion, and three levels of each one's context after both have seen each other."""

    motion: Motion
    context0: tuple[Tensor, ...]
    context1: tuple[Tensor, ...]


class Exchange(nn.Module):
    """LGS blocks over two frames' features of one level."""

    def __init__(self, d: int, depth: int, config: BlockConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(LGSBlock(d, config, shifted=i % 2 == 1) for i in range(depth))

    def forward(self, c0: Tensor, c1: Tensor) -> tuple[Tensor, Tensor]:
        """`b d h w` of each frame, and the same again."""
        if not self.blocks:
            return c0, c1
        x = torch.stack((c0.movedim(1, -1), c1.movedim(1, -1)), 3)  # b h w 2 d
        x = x.to(self.blocks[0].norm1.weight.dtype)  # may be wider, as in `fast`
        for block in self.blocks:
            x = block(x)
        return x.to(c0.dtype).permute(3, 0, 4, 1, 2).unbind(0)


class QualityNet(nn.Module):
    """The network of preset `quality`. Height and width must divide by 4."""

    multiple = 4
    bytes_per_pixel = 690.0  # measured as that of `fast`
    kept = 31.0  # bytes of a frame's features, a pixel: counted at 640x360 in fp32, fewer at larger sizes

    def __init__(self, config: QualityConfig | None = None) -> None:
        super().__init__()
        config = config or QualityConfig()
        widths = [config.context * 2**i for i in range(3)]
        hidden = config.fast.refine[2]
        self.config = config
        self.fast = FastNet(config.fast)
        self.context = ContextNet(config.context, stem_stride=4)
        self.exchange = nn.ModuleList(
            Exchange(d, depth, config.block) for d, depth in zip(widths, config.depths, strict=True)
        )
        joined = [2 * d + more for d, more in zip(widths, (hidden, 0, 0), strict=True)]
        self.refine = UNetRefine(4 * 16 + 5, joined, config.refine, 4 + 4 * 4)

    def encode(self, image: Tensor, size: tuple[int, int]) -> Features:
        """As `FastNet.encode`."""
        wanted = self.context.levels[0][0][0].weight.dtype
        return Features(self.fast.encode(image, size), tuple(self.context((image - 0.5).to(wanted))))

    def pair(self, f0: Features, f1: Features) -> Pair:
        """Motion between two frames, and what each one's context is beside the other's: once a pair."""
        levels = zip(self.exchange, f0.context, f1.context, strict=True)
        seen = [exchange(c0, c1) for exchange, c0, c1 in levels]
        return Pair(self.fast.pair(f0.fast, f1.fast), *zip(*seen, strict=True))

    def at(
        self,
        image0: Tensor,
        image1: Tensor,
        f0: Features,
        f1: Features,
        pair: Pair,
        t: Tensor,
        by: Pace | None = None,
    ) -> Filled:
        """As `FastNet.at`. `levels` has one more than those of `fast`: the last word, full size."""
        first = self.fast.at(image0, image1, f0.fast, f1.fast, pair.motion, t)
        size = image0.shape[-2:]
        joined = self._carried(pair, first)
        out = self.refine(self._seen(image0, image1, first, t, joined[0].dtype), joined)
        flow = torch.cat((first.flow_t0, first.flow_t1), 1) + rescale_flow(out[:, :4], size)
        logit, residual = F.pixel_shuffle(out[:, 4:], 2).split((1, 3), 1)
        logit, residual = first.logit + logit, first.residual + residual
        flow_t0, flow_t1 = paced(flow, by)
        warped0, warped1 = backward_warp(image0, flow_t0), backward_warp(image1, flow_t1)
        mask, residual = faded(torch.sigmoid(logit), residual, by)
        return Filled(
            prediction=warped1 + mask * (warped0 - warped1) + residual,
            flow_t0=flow_t0,
            flow_t1=flow_t1,
            mask=mask,
            logit=logit,
            residual=residual,
            warped0=warped0,
            warped1=warped1,
            levels=(*first.levels, torch.cat((flow, logit), 1)),
            hidden=first.hidden,
        )

    def forward(self, image0: Tensor, image1: Tensor, t: Tensor) -> Filled:
        """Frames `b 3 h w` in [0, 1] and times `b` to the frames between."""
        size = motion_size(*image0.shape[-2:], self.config.area)
        f0, f1 = self.encode(image0, size), self.encode(image1, size)
        return self.at(image0, image1, f0, f1, self.pair(f0, f1), t)

    @staticmethod
    def _carried(pair: Pair, first: Filled) -> list[Tensor]:
        """Both contexts brought to t; at 1/4 also what `fast` knows there."""
        carried = []
        for c0, c1 in zip(pair.context0, pair.context1, strict=True):
            flow_t0, flow_t1 = rescale_flow(first.levels[-1][:, :4], c0.shape[-2:]).split(2, 1)
            carried.append([backward_warp(c0, flow_t0), backward_warp(c1, flow_t1)])
        carried[0].append(first.hidden)
        return [beside(parts) for parts in carried]

    @staticmethod
    def _seen(image0: Tensor, image1: Tensor, first: Filled, t: Tensor, dtype: torch.dtype) -> Tensor:
        """Pictures and mask at 1/2, their four pixels as channels, with the flow there and t."""
        pictures = (image0, image1, first.warped0, first.warped1, first.prediction, first.mask)
        folded = F.pixel_unshuffle((torch.cat(pictures, 1) - 0.5).to(dtype), 2)
        flow = FLOW * rescale_flow(first.levels[-1][:, :4], folded.shape[-2:])
        plane = t.view(-1, 1, 1, 1).expand_as(flow[:, :1])
        return beside([folded, flow.to(dtype), plane.to(dtype)])
