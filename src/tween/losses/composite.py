"""The thesis plan's CompositeLoss: which terms count in which phase, and how much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from tween.losses.flow import flow_smoothness
from tween.losses.geometry import geometry
from tween.losses.image import census, charbonnier, laplacian, ssim_loss
from tween.losses.perceptual import perceptual


class Filled(Protocol):
    """What is judged: the frame at t, `b 3 h w`, not clamped, its flow `b 2 h w` px into both frames and, where
    `geometry` has a weight, features of both frames carried along it."""

    prediction: Tensor
    flow_t0: Tensor
    flow_t1: Tensor
    context: Sequence[Tensor]


@dataclass(frozen=True, kw_only=True)
class CompositeWeights:
    """The plan's weights. A term of weight 0 is not computed.

    The plan's own ternary term, of frames in [0, 1], is a sixteenth of ours, of grey levels in 0..255 (0.021 and 0.333
    beside a Laplacian of 0.043, over ten DAVIS triplets filled by `dis`), so `ter=0.06` is the balance that its code
    had. `charbonnier`, `ssim` and `geometry` are beside the plan, which names the last two for later (5.6); IFRNet
    gives `geometry` 0.01 over three levels, and here each frame has three.
    """

    lap: float = 1.0
    ter: float = 1.0
    vgg: float = 0.005
    flow_smooth: float = 0.1
    charbonnier: float = 0.0
    ssim: float = 0.0
    geometry: float = 0.0


def composite(
    filled: Filled,
    truth: Tensor,
    image0: Tensor,
    image1: Tensor,
    *,
    phase: Literal[1, 2, 3],
    weights: CompositeWeights | None = None,
    vgg: Callable[[Tensor], Sequence[Tensor]] | None = None,
    context: Callable[[Tensor], Sequence[Tensor]] | None = None,
) -> dict[str, Tensor]:
    """Weighted terms by the plan's names: loss_lap, loss_ter, loss_vgg and, from phase 2 on, loss_flow_smooth; beside
    them, where they have a weight, loss_charbonnier, loss_ssim and loss_geometry.

    Flow may break where `truth` has an edge: it is sampled at t, so the two frames' edges are elsewhere.

    Args:
        truth: the frame at t, `b 3 h w` in [0, 1], sides of more than 32 px.
        image0, image1: the frames it lies between; no term of the plan looks at them.
        vgg: `tween.nn.vgg.vgg19()`, on the frames' device; None leaves loss_vgg out.
        context: the true frame's features, which `filled.context` should look like; None leaves loss_geometry out.
    """
    w = weights or CompositeWeights()
    terms: dict[str, Callable[[], Tensor]] = {
        "lap": lambda: laplacian(filled.prediction, truth),
        "ter": lambda: census(filled.prediction, truth),
        "charbonnier": lambda: charbonnier(filled.prediction, truth),
        "ssim": lambda: ssim_loss(filled.prediction, truth),
    }
    if vgg is not None:
        terms["vgg"] = lambda: perceptual(filled.prediction, truth, vgg)
    if phase > 1:
        flow = torch.cat((filled.flow_t0, filled.flow_t1), 1)
        terms["flow_smooth"] = lambda: flow_smoothness(flow, truth)
    if context is not None:
        terms["geometry"] = lambda: geometry(filled.context, _unlearned(context, truth))
    return {f"loss_{name}": getattr(w, name) * term() for name, term in terms.items() if getattr(w, name)}


@torch.no_grad()
def _unlearned(features: Callable[[Tensor], Sequence[Tensor]], truth: Tensor) -> Sequence[Tensor]:
    return features(truth)
