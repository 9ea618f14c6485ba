"""What `fast` is trained on: the picture, coarse pictures, exact flow where it is known, a teacher that has seen
the answer elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.losses import census, charbonnier, distillation, flow_epe, laplacian
from tween.models.interp.fast import FastNet, Filled, Refiner
from tween.models.interp.match import Motion, scores
from tween.ops.warp import backward_warp, pixel_grid, resize_flow


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
    """One turn: student and teacher together. `compile_` wraps all of a step that runs on the device."""

    def __init__(
        self, net: FastNet, weights: Weights | None = None, *, compile_: Callable[[Any], Any] = lambda f: f
    ) -> None:
        self.modules = nn.ModuleDict({"net": net, "teacher": Teacher(net)})
        self.weights = weights or Weights()
        self._terms = compile_(self.terms)

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        decay = [p for p in self.modules.parameters() if not getattr(p, "_no_weight_decay", False)]
        free = [p for p in self.modules.parameters() if getattr(p, "_no_weight_decay", False)]
        return {"main": [{"params": decay}, {"params": free, "weight_decay": 0.0}]}

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
        size = tuple(frames.shape[-2:])  # a crop is small enough for its motion to be estimated as it is
        f0, f1 = net.encode(image0, size), net.encode(image1, size)
        motion = net.pair(f0, f1)
        out = net.at(image0, image1, f0, f1, motion, t)
        features = [f0.quarter.detach(), f1.quarter.detach(), net.pyramid.quarter_of(truth)]
        taught, lesson = self.modules["teacher"](
            image0, image1, features, out.levels[2].detach(), out.hidden.detach(), t
        )
        student = torch.cat((out.flow_t0, out.flow_t1), 1)
        apart, close, census_, teacher, distill = compare(out.prediction, lesson, truth, student, taught)
        return {
            "laplacian": w.laplacian * apart,
            "charbonnier": w.charbonnier * close,
            "census": w.census * census_,
            "coarse": w.coarse * _coarse(out, image0, truth, image1),
            "teacher": w.teacher * teacher,
            "distill": w.distill * distill,
            "flow": w.flow * flow_error(out, flow, known),
            "match": w.match * match_error(motion, between, known),
        }


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


def _coarse(out: Filled, image0: Tensor, truth: Tensor, image1: Tensor) -> Tensor:
    """The pictures that each level's flow and mask alone would make, at that level's size."""
    total = torch.zeros((), device=truth.device)
    for level, factor in zip(out.levels, (16, 8, 4), strict=True):
        small0, small, small1 = (F.avg_pool2d(x, factor) for x in (image0, truth, image1))
        total = total + charbonnier(blend(small0, small1, level)[1], small)
    return total


def flow_error(out: Filled, flow: Tensor, known: Tensor) -> Tensor:
    """End-point error of every level against exact flow, in full-size pixels, meaned over the known samples."""
    total = torch.zeros((), device=flow.device)
    for level, factor in zip(out.levels, (16, 8, 4), strict=True):
        truth = F.avg_pool2d(flow, factor)
        valid = known.view(-1, 1, 1, 1).expand_as(truth[:, :1])
        total = total + flow_epe(level[:, :4] * factor, truth, valid, eps=0.1)
    return total


def match_error(motion: Motion, between: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of the matching against where exact flow says each cell went, over cells that stay inside."""
    small = F.avg_pool2d(between, 16) / 16
    pairs = ((motion.key0, motion.key1, small[:, :2]), (motion.key1, motion.key0, small[:, 2:]))
    return sum(_nll(scores(key, other), flow, known) for key, other, flow in pairs) / 2


def _nll(score: Tensor, flow: Tensor, known: Tensor) -> Tensor:
    h, w = flow.shape[-2:]
    x, y = (pixel_grid(h, w, flow.device) + flow).flatten(2).unbind(1)
    inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    x, y = x.clamp(0, w - 1), y.clamp(0, h - 1)
    log_p = score.log_softmax(-1)
    total = torch.zeros_like(x)
    for dy in (0, 1):
        for dx in (0, 1):
            cx, cy = (x.floor() + dx).clamp(max=w - 1), (y.floor() + dy).clamp(max=h - 1)
            share = (1 - (x - x.floor() - dx).abs()) * (1 - (y - y.floor() - dy).abs())
            total = total - share * log_p.gather(2, (cy * w + cx).long()[..., None])[..., 0]
    counts = inside * known[:, None]
    return (total * counts).sum() / counts.sum().clamp_min(1)
