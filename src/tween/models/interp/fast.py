"""Preset `fast`: match once at 1/16, refine flow to 1/4, synthesise at 1/2.

Per frame: a convolutional pyramid (cached for the next pair). Per pair: LGS blocks over both frames at 1/32 and
global matching at 1/16. Per time: splat the motion to t, refine coarse to fine, warp and blend. Only the last part
depends on t, so many t of one pair share the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.models.interp.ends import Pace, faded, paced
from tween.models.interp.match import Motion, motion_at
from tween.nn.lgs import BlockConfig, LGSBlock
from tween.nn.match import global_match, mutual
from tween.ops.warp import backward_warp, resize_flow

ENLARGED = 4.0  # small frames are matched better on larger copies (LOG.md), thumbnails are not worth it


@dataclass(frozen=True, kw_only=True)
class FastConfig:
    """Widths, and the LGS blocks with their number.

    Attributes:
        pyramid: at 1/4, 1/8, 1/16, 1/32.
        key: of the matching keys.
        refine: of the refiners at 1/16, 1/8, 1/4, and `depth`, their convolutions.
        hidden: of the state handed to 1/8 and to 1/4.
        synthesis: at 1/2.
        area: of the picture, in pixels, that motion is estimated at; frames are shrunk or enlarged for it.
    """

    pyramid: tuple[int, int, int, int] = (32, 64, 96, 96)
    key: int = 32
    refine: tuple[int, int, int] = (96, 72, 48)
    hidden: tuple[int, int] = (48, 32)
    depth: tuple[int, int, int] = (3, 3, 4)
    synthesis: int = 24
    area: int = 480 * 270
    blocks: int = 2
    block: BlockConfig = field(default_factory=BlockConfig)


class Features(NamedTuple):
    """One frame: `b c h w` at 1/4, 1/8, 1/16 and 1/32 of the size motion is estimated at, and `finest`, at 1/4 of the
    frame's own size."""

    quarter: Tensor
    eighth: Tensor
    sixteenth: Tensor
    last: Tensor
    finest: Tensor


class Filled(NamedTuple):
    """A frame at t with what led to it.

    `prediction` `b 3 h w` unclamped; `flow_t0`, `flow_t1` `b 2 h w` px; `mask` `b 1 h w` the weight of frame 0;
    `logit` `b 1 h w` of which the mask is the sigmoid, faded where `ends` says so; `residual` `b 3 h w` what is added
    to the blend;
    `warped0`, `warped1` `b 3 h w` both frames brought to t;
    `levels` flows and mask logits at 1/16, 1/8, 1/4 of the size motion is estimated at, and at 1/4 of the frame's own,
    as `b 5 h w` (flow_t0, flow_t1 in pixels of that level, logit); `hidden` `b c h w` at the last of them.
    """

    prediction: Tensor
    flow_t0: Tensor
    flow_t1: Tensor
    mask: Tensor
    logit: Tensor
    residual: Tensor
    warped0: Tensor
    warped1: Tensor
    levels: tuple[Tensor, ...]
    hidden: Tensor


def conv(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution and LeakyReLU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.LeakyReLU(0.1, inplace=True))


def beside(parts: list[Tensor]) -> Tensor:
    """Channels of `parts` one after another, laid out as convolutions want them: their own conversion is slower."""
    return torch.cat(parts, 1).contiguous(memory_format=torch.channels_last)


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, to `size` (h, w)."""
    return (
        x
        if list(x.shape[-2:]) == list(size)
        else F.interpolate(x, size, mode="bilinear", align_corners=False)
    )


def shrink(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear to `size` (h, w), with a low-pass where that is smaller."""
    return (
        x
        if tuple(x.shape[-2:]) == tuple(size)
        else F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
    )


def in_pixels_of(flow: Tensor, size: Sequence[int]) -> Tensor:
    """Flow `b 4 h w` on its own grid, its vectors in the pixels of a picture of `size` (h, w)."""
    across, down = size[1] / flow.shape[-1], size[0] / flow.shape[-2]
    dx, dy = flow.unflatten(1, (2, 2)).unbind(2)
    return torch.stack((dx * across, dy * down), 2).flatten(1, 2)


def rescale_flow(flow: Tensor, size: Sequence[int]) -> Tensor:
    """Flow `b 4 h w` on the grid and in the pixels of `size`."""
    return resize(in_pixels_of(flow, size), size)


def motion_size(h: int, w: int, area: float) -> tuple[int, int]:
    """Size (h, w), multiples of 32, at which motion of a frame of `h` x `w` is estimated: about `area`, whether the
    frame is larger or smaller, but never more than `ENLARGED` times its sides."""
    scale = min(ENLARGED, math.sqrt(area / (h * w)))
    return tuple(32 * math.ceil(side * scale / 32 - 1e-6) for side in (h, w))


class Pyramid(nn.Module):
    """Features of one frame at 1/4, 1/8, 1/16, 1/32. The 4x4 pixels of a quarter-size cell are its first channels:
    no convolution runs at a finer size."""

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        a, b, c, d = widths
        self.quarter = nn.Sequential(conv(48, a), conv(a, a))
        self.eighth = nn.Sequential(conv(a, b, 2), conv(b, b))
        self.sixteenth = nn.Sequential(conv(b, c, 2), conv(c, c))
        self.last = nn.Sequential(conv(c, d, 2), conv(d, d))

    def quarter_of(self, image: Tensor) -> Tensor:
        """`b 3 h w` in [0, 1] to the finest features."""
        return self.quarter(F.pixel_unshuffle((image - 0.5).to(self.quarter[0][0].weight.dtype), 4))

    def forward(self, image: Tensor) -> Features:
        quarter = self.quarter_of(image)
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        return Features(quarter, eighth, sixteenth, self.last(sixteenth), quarter)


class Refiner(nn.Module):
    """One level: warp both features by the current flow, correct flow and mask, pass a hidden state on."""

    def __init__(self, c_in: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = conv(c_in, width)
        self.body = nn.Sequential(*(conv(width, width) for _ in range(depth)))
        self.head = nn.Conv2d(width, 5, 3, 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, inputs: list[Tensor], motion: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(beside([i.to(inputs[0].dtype) for i in inputs]))
        x = x + self.body(x)
        return motion + self.head(x).to(motion.dtype), x


class Synthesis(nn.Module):
    """Blend weight and residual at full size from the two warped frames and the hidden state, computed at 1/2."""

    def __init__(self, c_hidden: int, width: int) -> None:
        super().__init__()
        self.lift = nn.Sequential(nn.Conv2d(c_hidden, 4 * width, 1), nn.PixelShuffle(2))
        self.first = conv(width + 24, width)
        self.body = nn.Sequential(conv(width, width), conv(width, width))
        self.head = nn.Sequential(nn.Conv2d(width, 16, 3, 1, 1), nn.PixelShuffle(2))
        nn.init.zeros_(self.head[0].weight)
        nn.init.zeros_(self.head[0].bias)

    def forward(self, hidden: Tensor, warped0: Tensor, warped1: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logit `b 1 h w` and residual `b 3 h w`."""
        frames = torch.cat((warped0, warped1), 1).sub_(0.5).to(hidden.dtype)
        hidden = resize(self.lift(hidden), [side // 2 for side in frames.shape[-2:]])
        x = self.first(beside([hidden, F.pixel_unshuffle(frames, 2)]))
        out = self.head(x + self.body(x)).float()
        return out[:, :1], out[:, 1:]


class FastNet(nn.Module):
    """The network of preset `fast`. Height and width must divide by 4."""

    multiple = 4
    bytes_per_pixel = 325.0  # measured at 1080p in fp32 on a CPU for one time; the two frames come on top
    kept = 16.0  # bytes of a frame's features, a pixel: counted at 640x360 in fp32, fewer at larger sizes

    def __init__(self, config: FastConfig | None = None) -> None:
        super().__init__()
        config = config or FastConfig()
        c4, c8, c16, c32 = config.pyramid
        r16, r8, r4 = config.refine
        self.config = config
        self.pyramid = Pyramid(config.pyramid)
        self.blocks = nn.ModuleList(
            LGSBlock(c32, config.block, shifted=i % 2 == 1) for i in range(config.blocks)
        )
        self.down = nn.Conv2d(c32, c16, 1)
        self.mix = conv(c16, c16)
        self.key = nn.Conv2d(c16, config.key, 1)
        self.importance = nn.Conv2d(c16, 1, 1)
        self.trust = nn.Parameter(torch.tensor((10.0, 0.4)))
        self.refine16 = Refiner(2 * c16 + 14, r16, config.depth[0])
        h8, h4 = config.hidden
        self.hand8, self.hand4 = nn.Conv2d(r16, h8, 1), nn.Conv2d(r8, h4, 1)
        self.refine8 = Refiner(2 * c8 + h8 + 6, r8, config.depth[1])
        self.refine4 = Refiner(2 * c4 + h4 + 6, r4, config.depth[2])
        self.synthesis = Synthesis(r4, config.synthesis)

    def encode(self, image: Tensor, size: tuple[int, int]) -> Features:
        """`b 3 h w` in [0, 1] to its pyramid: once a frame. `size` (h, w), multiples of 32, is where motion is to be
        estimated; see `motion_size`."""
        if size == image.shape[-2:]:
            return self.pyramid(image)
        return self.pyramid(shrink(image, size))._replace(finest=self.pyramid.quarter_of(image))

    def pair(self, f0: Features, f1: Features) -> Motion:
        """Displacement between two frames: once a pair."""
        n = f0.last.shape[0]
        x = torch.stack((f0.last, f1.last), 4).permute(0, 2, 3, 4, 1)  # b h w 2 c
        x = x.to(self.blocks[0].norm1.weight.dtype)  # may be wider: few tokens, and bf16 gains nothing there
        for block in self.blocks:
            x = block(x)
        x = x.permute(3, 0, 4, 1, 2).flatten(0, 1)  # both frames side by side in the batch
        x = self.down(x.to(self.down.weight.dtype))
        x = torch.cat((f0.sixteenth, f1.sixteenth)) + F.interpolate(x, scale_factor=2, mode="bilinear")
        context = self.mix(x)
        key = self.key(context)
        importance = self.importance(context).float().clamp(-6, 6).exp()
        v01, certainty0 = self._trusted(key[:n], key[n:])
        v10, certainty1 = self._trusted(key[n:], key[:n])
        v01, v10 = mutual(v01, v10), mutual(v10, v01)
        halves = (x for both in (importance, context, key) for x in both.split(n))
        return Motion(v01, v10, certainty0, certainty1, *halves)

    def _trusted(self, key: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """A match and its certainty; a doubtful displacement fades to zero, whatever the size of the picture."""
        v, certainty = global_match(key, other)
        slope, threshold = self.trust.float()
        return v * torch.sigmoid(slope * (certainty - threshold)), certainty

    def at(
        self,
        image0: Tensor,
        image1: Tensor,
        f0: Features,
        f1: Features,
        m: Motion,
        t: Tensor,
        by: Pace | None = None,
    ) -> Filled:
        """The frame at `t` (`b` in [0, 1]) from both frames, their features and their motion; with `by` the frame that
        is shown from there, see `ends`."""
        t = t.view(-1, 1, 1, 1)
        flow, evidence = motion_at(m, t)
        start = torch.cat((flow, torch.zeros_like(flow[:, :1])), 1)
        level16, hidden = self.refine16(self._gather(m.context0, m.context1, start, t, evidence), start)
        level8, hidden = self._finer(self.refine8, f0.eighth, f1.eighth, level16, self.hand8(hidden), t)
        handed = self.hand4(hidden)
        level4, hidden = self._finer(self.refine4, f0.quarter, f1.quarter, level8, handed, t)
        finest, hidden = self._again(f0.finest, f1.finest, level4, handed, t)
        flow_t0, flow_t1 = paced(rescale_flow(finest[:, :4], image0.shape[-2:]), by)
        warped0, warped1 = backward_warp(image0, flow_t0), backward_warp(image1, flow_t1)
        logit, residual = self.synthesis(hidden, warped0, warped1)
        logit = logit + resize(finest[:, 4:], logit.shape[-2:])
        mask, residual = faded(torch.sigmoid(logit), residual, by)
        prediction = warped1 + mask * (warped0 - warped1) + residual
        return Filled(
            prediction=prediction,
            flow_t0=flow_t0,
            flow_t1=flow_t1,
            mask=mask,
            logit=logit,
            residual=residual,
            warped0=warped0,
            warped1=warped1,
            levels=(level16, level8, level4, finest),
            hidden=hidden,
        )

    def forward(self, image0: Tensor, image1: Tensor, t: Tensor) -> Filled:
        """Frames `b 3 h w` in [0, 1] and times `b` to the frames between."""
        size = motion_size(*image0.shape[-2:], self.config.area)
        f0, f1 = self.encode(image0, size), self.encode(image1, size)
        return self.at(image0, image1, f0, f1, self.pair(f0, f1), t)

    def _finer(
        self, refiner: Refiner, f0: Tensor, f1: Tensor, motion: Tensor, hidden: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        motion = torch.cat((resize_flow(motion[:, :4], 2), F.interpolate(motion[:, 4:], scale_factor=2)), 1)
        hidden = F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
        return refiner(self._gather(f0, f1, motion, t, hidden), motion)

    def _again(
        self, f0: Tensor, f1: Tensor, motion: Tensor, handed: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The last refiner once more, at 1/4 of the frame's own size: a second look where the two sizes are one."""
        size = f0.shape[-2:]
        motion = torch.cat((rescale_flow(motion[:, :4], size), resize(motion[:, 4:], size)), 1)
        return self.refine4(self._gather(f0, f1, motion, t, resize(handed, size)), motion)

    @staticmethod
    def _gather(f0: Tensor, f1: Tensor, motion: Tensor, t: Tensor, extra: Tensor) -> list[Tensor]:
        warped0 = backward_warp(f0, motion[:, :2])
        warped1 = backward_warp(f1, motion[:, 2:4])
        return [warped0, warped1, motion, t.to(motion.dtype).expand_as(motion[:, :1]), extra]
