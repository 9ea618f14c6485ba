"""The warp between neighbouring keyframes that entropic optimal transport of their tokens finds (Cuturi, NeurIPS
2013). Nothing is learned, and no flow network is asked: it works on latents as on pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.models.impute.fills import Fill, Times, keeping, neighbours, take
from tween.ops.warp import backward_warp
from tween.ops.warp.reference import pixel_grid


@dataclass(frozen=True, kw_only=True)
class SinkhornConfig:
    """How tokens are matched.

    Attributes:
        tokens: at most so many a side; larger frames are averaged down to that, and the motion is enlarged again.
        far: the weight of distance: moving across the whole longer side costs as much as `far` mean squared
            differences between the tokens of the two keyframes.
        entropy: how soft the matching is, in mean squared differences.
        steps: of Sinkhorn's iteration.
        pairs: of keyframes matched at once; bounds memory.
    """

    tokens: int = 24
    far: float = 12.0
    entropy: float = 0.005
    steps: int = 30
    pairs: int = 16


def sinkhorn(config: SinkhornConfig | None = None) -> Fill:
    """The fill that carries both neighbouring keyframes along the transport between them, and fades them into one
    another; frames `b t c h w`. Keyframes that are equal stay still."""
    return keeping(partial(_sinkhorn, config or SinkhornConfig()))


def _sinkhorn(config: SinkhornConfig, frames: Tensor, known: Tensor, times: Times = None) -> Tensor:
    before, after, a = neighbours(known, times)
    rows = torch.arange(len(frames), device=frames.device)[:, None].expand_as(before)
    pairs, which = torch.unique(
        torch.stack([rows, before, after], -1)[before != after], dim=0, return_inverse=True
    )
    made = take(frames, before).clone()
    if not len(pairs):
        return made
    row, left, right = pairs.unbind(1)
    there, back = flows(frames[row, left], frames[row, right], config)
    missing = before != after
    x, y, t = take(frames, before)[missing], take(frames, after)[missing], a[missing].to(there)
    t = t[:, None, None, None]
    flow_t0 = -t * backward_warp(there[which], -t * there[which])
    flow_t1 = -(1 - t) * backward_warp(back[which], -(1 - t) * back[which])
    made[missing] = backward_warp(x, flow_t0).lerp(backward_warp(y, flow_t1), t.to(frames.dtype))
    return made


def flows(x: Tensor, y: Tensor, config: SinkhornConfig | None = None) -> tuple[Tensor, Tensor]:
    """Motion between frames `b c h w`: `flow_01` and `flow_10`, `b 2 h w` in pixels of theirs, fp32."""
    config = config or SinkhornConfig()
    found = [_flows(a, b, config) for a, b in zip(x.split(config.pairs), y.split(config.pairs), strict=True)]
    there, back = (torch.cat(part) for part in zip(*found, strict=True))
    return there, back


@torch.autocast("cuda", enabled=False)
def _flows(x: Tensor, y: Tensor, config: SinkhornConfig) -> tuple[Tensor, Tensor]:
    h, w = x.shape[-2:]
    size = min(h, config.tokens), min(w, config.tokens)
    u, v = (F.adaptive_avg_pool2d(frame.float(), size) for frame in (x, y))
    step = torch.tensor([w / size[1], h / size[0]], device=x.device)
    place = pixel_grid(*size, x.device)[0].flatten(1).T * step  # `n 2`, in pixels of the frame
    away = torch.cdist(place, place).square() * (config.far / max(h, w) ** 2)
    u, v = (tokens.flatten(2).mT for tokens in (u, v))
    unlike = torch.cdist(u, v).square()
    scale = unlike.mean((1, 2), keepdim=True).clamp_min(1e-12)
    cost = unlike / scale + away
    own_u, own_v = (torch.cdist(tokens, tokens).square() / scale + away for tokens in (u, v))
    plan = coupling(cost, config)
    there = _carried(plan, place) - _carried(coupling(own_u, config), place)
    back = _carried(plan.mT, place) - _carried(coupling(own_v, config), place)
    return tuple(_enlarged(flow, size, (h, w)) for flow in (there, back))


def coupling(cost: Tensor, config: SinkhornConfig) -> Tensor:
    """`b n m`: the entropic transport plan of costs `b n m` between uniform tokens, by Sinkhorn's iteration in log
    space; rows sum to 1 / n exactly, columns to 1 / m as the steps converge."""
    kernel = -cost / config.entropy
    f = kernel.new_zeros(*kernel.shape[:2], 1)
    for _ in range(config.steps):
        g = -torch.logsumexp(kernel + f, 1, keepdim=True)
        f = -torch.logsumexp(kernel + g, 2, keepdim=True)
    return torch.exp(kernel + f + g) / kernel.shape[1]


def _carried(plan: Tensor, place: Tensor) -> Tensor:
    """`b n 2`: where the mass of each token goes, on average (barycentric projection)."""
    return plan @ place / plan.sum(-1, keepdim=True).clamp_min(1e-12)


def _enlarged(flow: Tensor, size: tuple[int, int], full: tuple[int, int]) -> Tensor:
    coarse = flow.mT.unflatten(2, size)
    return F.interpolate(coarse, size=full, mode="bilinear", align_corners=False)
