"""What `thesis` is trained on: the plan's composite loss, and flow from a teacher where one is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.losses import CompositeWeights, composite, teacher_distillation
from tween.models.interp.net import HybridNet


class Batch(Protocol):
    """What the task needs of a batch; see `tween.data.clips.Triples`."""

    frames: Tensor
    t: Tensor
    flow: Tensor
    known: Tensor


@dataclass(frozen=True, kw_only=True)
class ThesisWeights:
    """Weights of the plan's terms, and of the pull to a teacher's flow.

    Attributes:
        distill: of `loss_distill`, wherever a batch brings flow (Exp-2e); 0 leaves it out.
        doubt: per px, see `teacher_distillation`; 0 for a teacher that is exact, 0.3 for one that may be wrong: a
            network that knows nothing yet is far from either, and a doubted one would hardly pull it.
    """

    composite: CompositeWeights = field(default_factory=CompositeWeights)
    distill: float = 0.0
    doubt: float = 0.0


class ThesisTask:
    """One turn. Before step `freeze` the backbone runs as in use (no stochastic depth) and gets no gradient.

    Args:
        freeze: step at which the backbone begins to learn.
        vgg: features of the perceptual term; None leaves it out.

    Raises:
        TweenError: if the geometry of features is asked of a network that carries none.
    """

    def __init__(
        self,
        net: HybridNet,
        weights: ThesisWeights | None = None,
        *,
        freeze: int = 0,
        vgg: nn.Module | None = None,
    ) -> None:
        self.modules = nn.ModuleDict({"net": net})
        self.weights = weights or ThesisWeights()
        if self.weights.composite.geometry and not net.config.has_context:
            raise TweenError(
                "the geometry loss compares context features carried along the flow, which a network of phase 1 or of "
                "warp='image' has not; give geometry no weight here"
            )
        self.freeze, self.vgg = freeze if net.backbone is not None else 0, vgg

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        """The backbone in groups that begin at step `freeze`; A_log, D, dt_bias and mixing logits never decay."""
        net = self.modules["net"]
        late = [] if net.backbone is None else list(net.backbone.parameters())
        known = set(late)
        groups = []
        for params, begin in ((late, self.freeze), ([p for p in net.parameters() if p not in known], 0)):
            free = [p for p in params if getattr(p, "_no_weight_decay", False)]
            rest = [p for p in params if not getattr(p, "_no_weight_decay", False)]
            groups += [
                {"params": rest, "begin": begin},
                {"params": free, "begin": begin, "weight_decay": 0.0},
            ]
        return {"main": groups}

    def turns(self, step: int) -> Iterable[str]:
        return ("main",)

    def loss(self, turn: str, batch: Batch, step: int) -> Mapping[str, Tensor]:
        net = self.modules["net"]
        if net.backbone is not None:
            net.backbone.train(step >= self.freeze)
        return self.terms(batch.frames, batch.t, batch.flow, batch.known)

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing: what is frozen is a function of the step."""

    def terms(self, frames: Tensor, t: Tensor, flow: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Weighted loss terms. Shapes as in `tween.data.clips.Triples`."""
        net, w = self.modules["net"], self.weights
        image0, truth, image1 = frames.unbind(1)
        shapes = w.composite.geometry > 0
        filled = net(image0, image1, t, context=shapes)
        terms = composite(
            filled,
            truth,
            image0,
            image1,
            phase=net.config.phase,
            weights=w.composite,
            vgg=self.vgg,
            context=net.context_of if shapes else None,
        )
        if w.distill and net.config.has_flow:
            student = torch.cat((filled.flow_t0, filled.flow_t1), 1)
            heard = known.view(-1, 1, 1, 1).expand_as(flow[:, :1])
            terms["loss_distill"] = w.distill * teacher_distillation(student, flow, heard, doubt=w.doubt)
        return terms
