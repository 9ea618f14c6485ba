"""The hybrid network: LGS backbone, flow estimator, context and refinement (preset `thesis`).

Work is split by what it depends on: `encode` once a frame, `pair` once a pair, `at` once a time.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.core import TweenError
from tween.models.interp.backbone import Backbone
from tween.models.interp.config import NetConfig
from tween.models.interp.context import ContextNet
from tween.models.interp.flow import Flow, FlowEstimator
from tween.models.interp.refine import Levels, PyramidRefine


class Encoded(NamedTuple):
    """One frame `b 3 h w` and its stem features `b d h/s w/s` (None where they depend on t)."""

    image: Tensor
    stem: Tensor | None


class Pair(NamedTuple):
    """What two frames share at every t: backbone levels, context levels of each frame (None where not used)."""

    features: Levels | None
    context0: Levels | None
    context1: Levels | None


class Filled(NamedTuple):
    """A frame at t and what led to it.

    Attributes:
        prediction: `b 3 h w`, not clamped: a loss on it has gradients beyond [0, 1]; clamp what is shown.
        flow_t0, flow_t1: `b 2 h w` px, zero in phase 1.
        mask: `b 1 h w`, the weight of frame 0; `mask_logit` before the sigmoid.
        warped_0, warped_1: both frames brought to t, the frames themselves in phase 1.
        residual: `b 3 h w` in [-1, 1], what is added to the blend.
        levels: motion after each block of the flow estimator, empty in phase 1.
        context: context levels of frame 0 carried to t, then those of frame 1; empty unless they were asked for.
    """

    prediction: Tensor
    flow_t0: Tensor
    flow_t1: Tensor
    mask: Tensor
    mask_logit: Tensor
    warped_0: Tensor
    warped_1: Tensor
    residual: Tensor
    levels: tuple[Flow, ...]
    context: tuple[Tensor, ...] = ()


class HybridNet(nn.Module):
    """The network of preset `thesis`. `forward` takes any size; its parts need `multiple`.

    Args:
        config: widths and every ablation.

    Raises:
        TweenError: if the config leaves nothing to learn from (flow_only in phase 1).
    """

    def __init__(self, config: NetConfig | None = None) -> None:
        super().__init__()
        c = config or NetConfig()
        if not (c.has_flow or c.has_backbone):
            raise TweenError("flow_only needs a flow, but phase 1 has none; use phase=2")
        if not (c.has_context or c.has_backbone):
            raise TweenError(
                "flow_only with warp='image' leaves the refinement no features; use warp='feature'"
            )
        self.config = c
        self.multiple = 4 * int(max(*c.scale_list, c.stem_stride)) if c.has_flow else 4 * c.stem_stride
        self.backbone = Backbone(c) if c.has_backbone else None
        self.flow = FlowEstimator(c.flow_widths) if c.has_flow else None
        contexts = [ContextNet(c.context_width, c.stem_stride) for _ in range(2 if c.has_context else 0)]
        self.context = nn.ModuleList(contexts)
        sources = [c.width] * c.has_backbone + [c.context_width] * len(contexts)
        self.refine = PyramidRefine(sources, c.width, c.stem_stride)

    def encode(self, image: Tensor) -> Encoded:
        """One frame `b 3 h w` in [0, 1] -> what it alone gives, for both pairs that it is part of."""
        return Encoded(image, self.backbone.encode(image) if self._features_of_pair else None)

    def pair(self, first: Encoded, second: Encoded) -> Pair:
        """Two encoded frames -> what every t between them shares."""
        features = self.backbone.pair(first.stem, second.stem) if self._features_of_pair else None
        context = [net(e.image) for net, e in zip(self.context, (first, second), strict=False)]
        return Pair(features, *(context or (None, None)))

    def at(
        self,
        image0: Tensor,
        image1: Tensor,
        first: Encoded,
        second: Encoded,
        pair: Pair,
        t: Tensor,
        *,
        scale: float = 1.0,
        context: bool = False,
    ) -> Filled:
        """The frame at `t` (`b` in [0, 1]) from both frames and what they share.

        `scale` below 1 estimates motion on that much smaller frames, for large motion and 4K (RIFE's --scale);
        height and width must then divide by `multiple_at(scale)`. `context` also returns the context as it was carried.
        """
        steps = self._motion(image0, image1, t, scale)
        motion = steps[-1]
        warped_0, warped_1 = motion.warped_0, motion.warped_1
        sources = [] if pair.features is None else [pair.features]
        if self.backbone is not None and not self._features_of_pair:
            sources.append(self.backbone(warped_0, warped_1))
        contexts, flows = (pair.context0, pair.context1), (motion.flow_t0, motion.flow_t1)
        frames = zip(self.context, contexts, flows, strict=False)
        carried = [net.warp(levels, flow) for net, levels, flow in frames]
        out = self.refine([*sources, *carried])
        residual, logit = torch.sigmoid(out[:, :3]) * 2 - 1, motion.mask_logit + out[:, 3:]
        mask = torch.sigmoid(logit)
        prediction = warped_0 * mask + warped_1 * (1 - mask) + residual
        levels = steps if self.flow is not None else ()
        kept = tuple(level for frame in carried for level in frame) if context else ()
        return Filled(prediction, *flows, mask, logit, warped_0, warped_1, residual, levels, kept)

    def forward(
        self, image0: Tensor, image1: Tensor, t: Tensor, *, scale: float = 1.0, context: bool = False
    ) -> Filled:
        """Frames `b 3 h w` in [0, 1] of any size and times `b` in [0, 1] -> the frames between."""
        h, w = image0.shape[-2:]
        multiple = self.multiple_at(scale)
        right, bottom = -w % multiple, -h % multiple
        if right or bottom:
            image0, image1 = (F.pad(i, (0, right, 0, bottom), mode="replicate") for i in (image0, image1))
        first, second = self.encode(image0), self.encode(image1)
        pair = self.pair(first, second)
        filled = self.at(image0, image1, first, second, pair, t, scale=scale, context=context)
        return crop(filled, h, w) if right or bottom else filled

    def multiple_at(self, scale: float) -> int:
        """What height and width have to divide by where motion is estimated at `scale` of their size."""
        tokens, flow = 4 * self.config.stem_stride, 4 * int(max(self.config.scale_list))
        return lcm(tokens, (flow / min(simple(scale), Fraction(1))).numerator) if self.flow else tokens

    def context_of(self, image: Tensor) -> tuple[Tensor, ...]:
        """What `Filled.context` would be if both frames were carried exactly onto `image` `b 3 h w`."""
        return tuple(level for net in self.context for level in net(image))

    @property
    def _features_of_pair(self) -> bool:
        """Whether the backbone sees the frames themselves, whatever t is."""
        return self.config.has_backbone and (self.config.warp == "feature" or not self.config.has_flow)

    def _motion(self, image0: Tensor, image1: Tensor, t: Tensor, scale: float) -> tuple[Flow, ...]:
        if self.flow is None:
            still = torch.zeros_like(image0[:, :2])
            return (Flow(still, still, still[:, :1], image0, image1),)
        return self.flow(image0, image1, t, tuple(s / float(simple(scale)) for s in self.config.scale_list))


def simple(scale: float) -> Fraction:
    """`scale` as a fraction of small numbers: then sizes there are that are whole at every step."""
    return max(Fraction(scale).limit_denominator(20), Fraction(1, 20))


def crop(filled: Filled, h: int, w: int) -> Filled:
    """Everything in `filled` without the padding at the right and at the bottom."""
    *pictures, levels, context = filled
    width = filled.prediction.shape[-1]
    strides = [width // x.shape[-1] for x in context]
    return Filled(
        *(x[..., :h, :w] for x in pictures),
        tuple(Flow(*(x[..., :h, :w] for x in level)) for level in levels),
        tuple(x[..., : -(-h // s), : -(-w // s)] for x, s in zip(context, strides, strict=True)),
    )
