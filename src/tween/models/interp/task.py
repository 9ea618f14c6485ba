"""What `fast` and `quality` are trained on: the picture, coarse pictures, exact flow where it is known, a teacher that
has seen the answer elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.losses import census, charbonnier, distillation, flow_epe, laplacian
from tween.losses.matching import matching_nll, returns
from tween.models.interp.fast import FastNet, Refiner, in_pixels_of, motion_size, rescale_flow, shrink
from tween.models.interp.flips import FLIPS
from tween.models.interp.match import Motion
from tween.models.interp.quality import QualityNet
from tween.nn.match import scores
from tween.ops.warp import backward_warp, resize_flow


class Batch(Protocol):
    """What the task needs of a batch; see `tween.data.clips.Triples`."""

    frames: Tensor
    t: Tensor
    flow: Tensor
    between: Tensor
    known: Tensor


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weight of each term. Flow terms are in full-size pixels, pictures in [0, 1], matching in nats."""

    laplacian: float = 1.0
    charbonnier: float = 1.0
    census: float = 0.02
    coarse: float = 0.2
    teacher: float = 0.5
    distill: float = 0.01
    flow: float = 0.008
    match: float = 0.01
    flips: float = 0.0


class Teacher(nn.Module):
    """Corrects the student's flow at 1/4 with the answer in view (privileged distillation, RIFE, ECCV 2022)."""

    def __init__(self, student: FastNet) -> None:
        super().__init__()
        c4, r4 = student.config.pyramid[0], student.config.refine[2]
        self.refine = Refiner(3 * c4 + r4 + 6, r4, 2)

    def forward(
        self,
        image0: Tensor,
        image1: Tensor,
        features: list[Tensor],
        motion: Tensor,
        hidden: Tensor,
        t: Tensor,
    ):
        """Full-size flow `b 4 h w` and picture `b 3 h w`; `features` of both frames and of the answer at 1/4."""
        f0, f1, truth = features
        warped0, warped1 = backward_warp(f0, motion[:, :2]), backward_warp(f1, motion[:, 2:4])
        plane = t.view(-1, 1, 1, 1).to(motion.dtype).expand_as(motion[:, :1])
        motion, _ = self.refine([warped0, warped1, truth, motion, plane, hidden], motion)
        return blend(image0, image1, motion, 4)


def blend(image0: Tensor, image1: Tensor, motion: Tensor, factor: int = 1) -> tuple[Tensor, Tensor]:
    """Flow `b 4 h w` and the two warped frames mixed by the mask, from motion `b 5 h/factor w/factor`."""
    flow, logit = motion[:, :4], motion[:, 4:]
    if factor > 1:
        flow = resize_flow(flow, factor)
        logit = F.interpolate(logit, scale_factor=factor, mode="bilinear", align_corners=False)
    warped0, warped1 = backward_warp(image0, flow[:, :2]), backward_warp(image1, flow[:, 2:])
    return flow, warped1 + torch.sigmoid(logit) * (warped0 - warped1)


class InterpTask:
    """One turn: student and teacher together.

    Args:
        shrinks: motion is estimated on crops of a size (h, w) this much smaller, as it is on frames above
            `FastConfig.area`; on others as they are.
        inner: fields of the optimiser's group of the `fast` inside `quality`, such as a rate of its own.
        tutor: a trained `fast`, whose mean over all flips is what the term `flips` pulls to; it does not learn.
        compile_: wraps all of a step that runs on the device.
    """

    def __init__(
        self,
        net: FastNet | QualityNet,
        weights: Weights | None = None,
        *,
        shrinks: Mapping[tuple[int, int], float] | None = None,
        inner: Mapping[str, Any] | None = None,
        tutor: FastNet | None = None,
        compile_: Callable[[Any], Any] = lambda f: f,
    ) -> None:
        self.core = net.fast if isinstance(net, QualityNet) else net
        self.modules = nn.ModuleDict({"net": net, "teacher": Teacher(self.core)})
        self.weights, self.shrinks, self.inner = weights or Weights(), shrinks or {}, inner or {}
        self.tutor = tutor
        self._terms = compile_(self.terms)

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        within = set(self.core.parameters()) if self.core is not self.modules["net"] else set()
        groups = []
        for inside, own in ((False, {}), (True, self.inner)):
            params = [p for p in self.modules.parameters() if p.requires_grad and (p in within) == inside]
            decay = [p for p in params if not getattr(p, "_no_weight_decay", False)]
            free = [p for p in params if getattr(p, "_no_weight_decay", False)]
            groups += [{"params": decay, **own}, {"params": free, "weight_decay": 0.0, **own}]
        return {"main": [group for group in groups if group["params"]]}

    def turns(self, step: int) -> Iterable[str]:
        return ("main",)

    def loss(self, turn: str, batch: Batch, step: int) -> Mapping[str, Tensor]:
        return self._terms(batch.frames, batch.t, batch.flow, batch.between, batch.known)

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing changes between steps."""

    def terms(
        self, frames: Tensor, t: Tensor, flow: Tensor, between: Tensor, known: Tensor
    ) -> dict[str, Tensor]:
        """Weighted loss terms. Shapes as in `tween.data.clips.Triples`."""
        net, w = self.modules["net"], self.weights
        image0, truth, image1 = frames.unbind(1)
        height, width = frames.shape[-2:]
        size = motion_size(height, width, height * width / self.shrinks.get((height, width), 1.0) ** 2)
        f0, f1 = net.encode(image0, size), net.encode(image1, size)
        motion = net.pair(f0, f1)
        out = net.at(image0, image1, f0, f1, motion, t)
        if net is not self.core:  # from here on as of `fast`
            f0, f1, motion = f0.fast, f1.fast, motion.motion
        features = [f.detach() for f in (f0.finest, f1.finest, self.core.pyramid.quarter_of(truth))]
        taught, lesson = self.modules["teacher"](
            image0, image1, features, out.levels[3].detach(), out.hidden.detach(), t
        )
        student = torch.cat((out.flow_t0, out.flow_t1), 1)
        apart, close, census_, teacher, distill = compare(out.prediction, lesson, truth, student, taught)
        found = {
            "laplacian": w.laplacian * apart,
            "charbonnier": w.charbonnier * close,
            "census": w.census * census_,
            "coarse": w.coarse * _coarse(out.levels, frames, size),
            "teacher": w.teacher * teacher,
            "distill": w.distill * distill,
            "flow": w.flow * flow_error(out.levels, flow, known),
            "match": w.match * match_error(motion, rescale_flow(between, size), known),
        }
        if self.tutor is not None:
            mean = mean_over_flips(self.tutor, image0, image1, t, size)
            found["flips"] = w.flips * (charbonnier(out.prediction, mean) + laplacian(out.prediction, mean))
        return found


@torch.no_grad()
def mean_over_flips(net: FastNet, image0: Tensor, image1: Tensor, t: Tensor, size: tuple[int, int]) -> Tensor:
    """The frames at `t` as `Flipped` gives them, `b 3 h w`, of one call with all flips side by side."""
    both = [torch.cat([image.flip(axes) for axes in FLIPS]) for image in (image0, image1)]
    f0, f1 = (net.encode(image, size) for image in both)
    made = net.at(*both, f0, f1, net.pair(f0, f1), t.repeat(len(FLIPS))).prediction.chunk(len(FLIPS))
    return torch.stack([picture.flip(axes) for picture, axes in zip(made, FLIPS, strict=True)]).mean(0)


def compare(
    prediction: Tensor, lesson: Tensor, truth: Tensor, student: Tensor, taught: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Laplacian, Charbonnier, census (of every fourth sample: it costs most), the teacher's Laplacian, distillation.

    Pictures `b 3 h w`, flows `b 4 h w`.
    """
    return (
        laplacian(prediction, truth),
        charbonnier(prediction, truth),
        census(prediction[::4], truth[::4]),
        laplacian(lesson, truth),
        distillation(student, taught, prediction, lesson, truth),
    )


def _coarse(levels: Sequence[Tensor], frames: Tensor, size: tuple[int, int]) -> Tensor:
    """The pictures that each level's flow and mask alone would make, at that level's size."""
    full = frames.flatten(1, 2)
    small = shrink(full, size)
    total = torch.zeros((), device=frames.device)
    for i, level in enumerate(levels):
        whole = small if i < 3 else full
        image0, truth, image1 = F.avg_pool2d(whole, whole.shape[-1] // level.shape[-1]).split(3, 1)
        total = total + charbonnier(blend(image0, image1, level)[1], truth)
    return total


def flow_error(levels: Sequence[Tensor], flow: Tensor, known: Tensor) -> Tensor:
    """End-point error of every level against exact flow, in full-size pixels, meaned over the known samples.

    The truth is sampled at each cell's centre: a mean would mix both sides of an edge.
    """
    total, (h, w) = torch.zeros((), device=flow.device), flow.shape[-2:]
    for level in levels:
        at = level.shape[-2:]
        truth = F.interpolate(flow, at, mode="nearest-exact")
        valid = known.view(-1, 1, 1, 1).expand_as(truth[:, :1])
        total = total + flow_epe(in_pixels_of(level[:, :4], (h, w)), truth, valid, eps=0.1)
    return total


def match_error(motion: Motion, between: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of the matching against where exact flow says each cell went, over cells seen in both frames.

    Args:
        motion: of one batch.
        between: exact flow_01 and flow_10 `b 4 h w` at the size that motion was estimated at.
        known: `b`, 1 where it is exact.
    """
    v01, v10 = (F.avg_pool2d(between, 16) / 16).split(2, 1)
    pairs = ((motion.key0, motion.key1, v01, v10), (motion.key1, motion.key0, v10, v01))
    return (
        sum(matching_nll(scores(a, b), v, known[:, None] * returns(v, back)) for a, b, v, back in pairs) / 2
    )
