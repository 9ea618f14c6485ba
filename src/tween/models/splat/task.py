"""What the splat network is trained on: the picture, the paths of its Gaussians, what is before what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.losses.image import laplacian, ssim_loss
from tween.losses.matching import matching_nll, returns
from tween.losses.splat import (
    coverage,
    depth_order,
    depth_smoothness,
    fading,
    followed,
    gaussian_flow,
    kendall,
    occlusion_order,
    scale_hinge,
    temporal_consistency,
)
from tween.models.splat.gaussians import Cloud
from tween.models.splat.net import Made, Scene, SplatNet, interval, pick
from tween.models.splat.pairs import neighbours, reverse
from tween.nn.match import scores
from tween.ops.warp import backward_warp, pixel_grid


class Batch(Protocol):
    """What the task needs of a batch; see `tween.data.windows.Window`."""

    frames: Tensor
    times: Tensor
    truth: Tensor
    t: Tensor
    flow: Tensor
    layer: Tensor
    known: Tensor


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Fixed weights of the warm-up by term, the s that each begins with thereafter, and how long what lasts.

    Attributes:
        fixed: name -> weight; a term of weight 0 is left out for good.
        start: name -> s of Kendall's weight e^(-s) / 2.
        warmup: steps of fixed weights. None: always.
        flow_until: step from which the Gaussians' flow is supervised no more; its weight falls by a cosine till there.
    """

    fixed: Mapping[str, float] = field(
        default_factory=lambda: {
            "l1": 1.0,
            "ssim": 0.2,
            "laplacian": 0.5,
            "rendered": 0.5,
            "flow": 0.01,
            "match": 0.01,
            "follow": 0.3,
            "smooth": 0.01,
            "temporal": 0.01,
            "order": 0.1,
            "coverage": 0.05,
            "scale": 0.05,
        }
    )
    start: Mapping[str, float] = field(
        default_factory=lambda: {
            "l1": -0.5,
            "ssim": 1.0,
            "laplacian": 0.0,
            "rendered": 0.0,
            "flow": 3.0,
            "match": 4.0,
            "follow": 0.5,
            "smooth": 4.0,
            "temporal": 4.0,
            "order": 1.5,
            "coverage": 2.5,
            "scale": 2.5,
        }
    )
    warmup: int | None = 1000
    flow_until: int = 10_000


class Balance(nn.Module):
    """The s of every term: the log variances that Kendall's weights are made of."""

    def __init__(self, start: Mapping[str, float]) -> None:
        super().__init__()
        self.names = tuple(start)
        self.logs = nn.Parameter(torch.tensor([start[name] for name in self.names]))

    def forward(self) -> dict[str, Tensor]:
        """s by name."""
        return dict(zip(self.names, self.logs.unbind(), strict=True))


class SplatTask:
    """One turn."""

    def __init__(self, net: SplatNet, weights: Weights | None = None) -> None:
        self.weights = weights or Weights()
        self.modules = nn.ModuleDict({"net": net, "balance": Balance(self.weights.start)})

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        """Mamba2's own parameters and the s never decay."""
        net = list(self.modules["net"].parameters())
        free = [p for p in net if getattr(p, "_no_weight_decay", False)]
        rest = [p for p in net if not getattr(p, "_no_weight_decay", False)]
        return {
            "main": [
                {"params": rest},
                {"params": free, "weight_decay": 0.0},
                {"params": list(self.modules["balance"].parameters()), "weight_decay": 0.0},
            ]
        }

    def turns(self, step: int) -> Iterable[str]:
        return ("main",)

    def loss(self, turn: str, batch: Batch, step: int) -> Mapping[str, Tensor]:
        """Weighted terms; flow supervision fades with the step."""
        w = self.weights
        wanted = {name: weight for name, weight in w.fixed.items() if weight}
        if "flow" in wanted:
            wanted["flow"] *= fading(step, w.flow_until)
        found = self.terms(batch)
        found = {name: found[name] for name, weight in wanted.items() if weight}
        if w.warmup is None or step < w.warmup:
            return {name: wanted[name] * term for name, term in found.items()}
        # After Kendall's weights: faded before them, a term would only have its weight learned to make up for that, and
        # where nothing is known (a loss of 0) its weight would grow without end.
        heard = batch.known.amax()
        share = {"flow": fading(step, w.flow_until) * heard, "match": heard}
        balanced = kendall(found, self.modules["balance"]())
        return {name: term * share.get(name, 1.0) for name, term in balanced.items()}

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing: what counts is a function of the step."""

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """Every term, unweighted."""
        net: SplatNet = self.modules["net"]
        gaps = batch.frames.shape[1] - 1
        scene = net.scene(batch.frames, batch.times * gaps)
        left = interval(scene.times, batch.t * gaps)
        cloud = net.clouds(scene, left)
        made = net.at(scene, cloud, batch.t * gaps)
        with torch.autocast(batch.t.device.type, enabled=False):
            pictures = photometric(made, batch.truth)
            return (
                pictures | moving(scene, cloud, made, left, batch) | shaped(scene, cloud, made, left, batch)
            )


def photometric(made: Made, truth: Tensor) -> dict[str, Tensor]:
    """How the picture differs from the true one, and what was rendered before refinement."""
    return {
        "l1": (made.prediction - truth).abs().mean(),
        "ssim": ssim_loss(made.prediction, truth),
        "laplacian": laplacian(made.prediction, truth),
        "rendered": (made.rendered - truth).abs().mean(),
    }


def moving(scene: Scene, cloud: Cloud, made: Made, left: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Whether places go where they should: by exact flow where it is known, by what is seen there everywhere."""
    n, both = scene.times.shape[1], torch.stack((left, left + 1), 1)
    one, other = neighbours(n, left.device)
    h, w = batch.truth.shape[-2:]
    at_t = made.moved.place - pixel_grid(h, w, left.device) - 0.5
    flow = gaussian_flow(at_t, pick(batch.flow[:, :, n], both), batch.known)
    exact = batch.flow[:, one, other]
    for level in scene.pairs.levels:
        factor = h // level.shape[-2]
        centre = exact[..., factor // 2 :: factor, factor // 2 :: factor]
        flow = flow + gaussian_flow(level * factor, centre, batch.known)
    known = half(pick(batch.frames, both))
    follow = followed(known, half(batch.truth[:, None].expand_as(pick(batch.frames, both))), half(at_t) / 2)
    small = F.avg_pool2d(batch.frames.flatten(0, 1), 4).unflatten(0, batch.frames.shape[:2])
    pairs = (small[:, one], small[:, other], scene.pairs.levels[-1])
    match = matched(scene.pairs.key, exact, batch.known)
    return {"flow": flow, "match": match, "follow": follow + followed(*(x.flatten(0, 1) for x in pairs))}


def matched(key: Tensor, exact: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of the matching of every pair against exact flow `b p 2 h w`, over places seen in both frames."""
    p = key.shape[1]
    v = (F.avg_pool2d(exact.flatten(0, 1), 16) / 16).unflatten(0, (-1, p))
    back, v = reverse(v).flatten(0, 1), v.flatten(0, 1)
    counts = known.repeat_interleave(p)[:, None] * returns(v, back)
    score = scores(key.flatten(0, 1), reverse(key).flatten(0, 1))
    return matching_nll(score, v, counts)


def half(x: Tensor) -> Tensor:
    """`b m c h w` at half the size, both frames in the batch: `bm c h/2 w/2`."""
    return F.avg_pool2d(x.flatten(0, 1), 2)


def shaped(scene: Scene, cloud: Cloud, made: Made, left: Tensor, batch: Batch) -> dict[str, Tensor]:
    """What depth, curvature, opacity and size should be like."""
    n, both = scene.times.shape[1], torch.stack((left, left + 1), 1)
    disparity, frames = half(cloud.disparity), half(pick(batch.frames, both))
    layer = pick(batch.layer, both).flatten(0, 1)[:, None, ::2, ::2]
    d = pick(scene.pairs.levels[-1], torch.stack((left, left + n - 1), 1))
    here, there = F.avg_pool2d(cloud.disparity.flatten(0, 1), 4).unflatten(0, (-1, 2)).unbind(1)
    bend, other_bend = pick(scene.path.acceleration, both).unbind(1)
    order = depth_order(disparity, layer, batch.known.repeat_interleave(2))
    order = (
        order
        + occlusion_order(here, there, d[:, 0], d[:, 1])
        + occlusion_order(there, here, d[:, 1], d[:, 0])
    )
    return {
        "smooth": depth_smoothness(disparity, frames) + cloud.disparity.mean().square(),
        "temporal": temporal_consistency(bend, backward_warp(other_bend, d[:, 0].detach())),
        "order": order,
        "coverage": coverage(made.coverage),
        "scale": scale_hinge(cloud.size),
    }
