"""What a flow field should be like. Flow is `b 2k h w` in pixels, (dx, dy) for each of k directions."""

from __future__ import annotations

import torch
from torch import Tensor


def flow_epe(flow: Tensor, truth: Tensor, valid: Tensor | None = None, eps: float = 1e-3) -> Tensor:
    """Mean end-point error in pixels, sqrt(dx^2 + dy^2 + eps^2) of the difference; least value eps.

    Args:
        flow, truth: `b 2k h w`.
        valid: `b k h w` or `b 1 h w`, 1 where the truth is known; elsewhere it may be anything, NaN too.
    """
    vectors = (flow.float() - truth.float()).unflatten(1, (-1, 2))
    if valid is None:
        return ((vectors**2).sum(2) + eps**2).sqrt().mean()
    known = (valid > 0).expand(-1, vectors.shape[1], -1, -1)
    vectors = torch.where(known[:, :, None], vectors, 0.0)
    return (((vectors**2).sum(2) + eps**2).sqrt() * known).sum() / known.sum().clamp(min=1)


def flow_smoothness(flow: Tensor, image: Tensor, edge: float = 150.0) -> Tensor:
    """Mean absolute change of flow between neighbours, forgiven where the picture changes too.

    Each difference weighs exp(-edge * mean over channels of |difference of the image|), as in UFlow
    (Jonschkowski et al., ECCV 2020). Without the constant the weight of a picture in [0, 1] hardly leaves
    1 and no edge counts.

    Args:
        flow: `b c h w` in pixels.
        image: `b 3 h w` in [0, 1], where the flow is sampled.
    """
    flow, image = flow.float(), image.float()
    total = 0.0
    for dim in (-1, -2):
        weight = torch.exp(-edge * image.diff(dim=dim).abs().mean(1, keepdim=True))
        total = total + (weight * flow.diff(dim=dim).abs()).mean()
    return total


def distillation(
    flow: Tensor, teacher_flow: Tensor, frame: Tensor, teacher_frame: Tensor, target: Tensor
) -> Tensor:
    """Pull the student's flow to the teacher's where the teacher's picture is clearly the better one.

    The teacher has seen `target` (privileged distillation, RIFE, ECCV 2022). It counts where its mean
    absolute error over channels is smaller by more than 0.01; nothing flows back into it.

    Args:
        flow, teacher_flow: `b c h w` in pixels.
        frame, teacher_frame, target: `b 3 h w` in [0, 1].
    """
    with torch.no_grad():
        error, least = (
            (x.float() - target.float()).abs().mean(1, keepdim=True) for x in (frame, teacher_frame)
        )
        better = error > least + 0.01
    square = (flow.float() - teacher_flow.detach().float()).pow(2).mean(1, keepdim=True)
    return (torch.sqrt(square + 1e-12) * better).mean()


def teacher_distillation(
    flow: Tensor, teacher_flow: Tensor, valid: Tensor | None = None, *, doubt: float = 0.3
) -> Tensor:
    """Pull the flow to that of a teacher outside the network: exact flow, DIS, FlowFormer++, any file of flow.

    The robust distance of IFRNet (CVPR 2022): (d^2 + eps^2)^(p/2) of the difference d in px, with
    p = exp(-doubt |flow - teacher|) and eps = 10^(1/3 - 10 p / 3) at every pixel, so that a place where the
    student is far from a teacher, who may be wrong there, pulls little. p itself is not learned from.

    Args:
        flow, teacher_flow: `b 2k h w` px.
        valid: `b k h w` or `b 1 h w`, 1 where the teacher is to be heard; elsewhere it may be anything, NaN too.
        doubt: per px. 0 for a teacher that is exact: then it is the Charbonnier distance with eps 1e-3.
    """
    apart = (flow.float() - teacher_flow.detach().float()).unflatten(1, (-1, 2))
    heard = (
        torch.ones_like(apart[:, :, 0]) if valid is None else (valid > 0).expand(-1, apart.shape[1], -1, -1)
    )
    apart = torch.where(heard[:, :, None] > 0, apart, 0.0)
    with torch.no_grad():
        p = torch.exp(-doubt * apart.norm(dim=2, keepdim=True))
        eps = 10 ** ((1 - 10 * p) / 3)
    distance = (apart**2 + eps**2) ** (p / 2)
    return (distance.mean(2) * heard).sum() / heard.sum().clamp(min=1)
