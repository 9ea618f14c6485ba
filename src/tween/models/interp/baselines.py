"""Fillers that learned nothing: what a network has to beat. All take one frame before and one after."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tween.core import TweenError
from tween.ops.warp import backward_warp

LEAST = 16  # pixels a side: of frames with a shorter one OpenCV's DIS reads past the end


class Blend:
    """(1 - t) * frame 0 + t * frame 1."""

    past = future = multiple = 1
    bytes_per_pixel = 24.0  # measured at 4K for one time, like those below; the two frames come on top

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> None:
        """Nothing is remembered between pairs."""

    def fill(
        self,
        state: None,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, None]:
        """As `Filler.fill`, with n = 2."""
        t = positions(known_t, query_t)
        return torch.stack([known[:, 0].lerp(known[:, 1], x) for x in t], 1), None


class Nearest(Blend):
    """Whichever frame is nearer in time; the earlier one halfway."""

    bytes_per_pixel = 12.0

    def fill(
        self,
        state: None,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, None]:
        """As `Filler.fill`, with n = 2."""
        return known[:, [int(x > 0.5) for x in positions(known_t, query_t)]], None


class Dis(Blend):
    """OpenCV's DIS optical flow (Kroeger et al., ECCV 2016; preset medium) in both directions. Each flow is carried
    to t by itself, each frame warped by its own, and the two are averaged with the weights of `Blend`."""

    bytes_per_pixel = 94.0

    def fill(
        self,
        state: None,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, None]:
        """As `Filler.fill`, with n = 2. The flow is computed once, on the CPU, whatever the number of times."""
        flow_01, flow_10 = dis_flow(known[:, 0], known[:, 1])
        frames = []
        for t in positions(known_t, query_t):
            flow_t0 = -t * backward_warp(flow_01, -t * flow_01)
            flow_t1 = -(1 - t) * backward_warp(flow_10, -(1 - t) * flow_10)
            frames.append(backward_warp(known[:, 0], flow_t0).lerp(backward_warp(known[:, 1], flow_t1), t))
        return torch.stack(frames, 1), None


def positions(known_t: Sequence[Fraction], query_t: Sequence[Fraction]) -> list[float]:
    """Where each queried time lies between the two known ones: 0 at the first, 1 at the second."""
    start, end = known_t
    return [float((t - start) / (end - start)) for t in query_t]


def dis_flow(image0: Tensor, image1: Tensor) -> tuple[Tensor, Tensor]:
    """Flow from frame 0 to frame 1 and back, `b 2 h w` in pixels, of frames `b c h w` in [0, 1]."""
    cv2 = _opencv()
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    h, w = image0.shape[-2:]
    there, back = [], []
    for a, b in zip(_grey(image0), _grey(image1), strict=True):
        there.append(estimator.calc(a, b, None)[:h, :w])
        back.append(estimator.calc(b, a, None)[:h, :w])
    return tuple(torch.from_numpy(np.stack(f)).permute(0, 3, 1, 2).to(image0.device) for f in (there, back))


def _grey(image: Tensor) -> np.ndarray:
    """`b h w` uint8 luma of BT.601, as OpenCV's own conversion gives it; the border repeated up to `LEAST`."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    luma = (image[:, :3].detach().float().cpu().clamp(0, 1) * weights).sum(1)
    h, w = luma.shape[-2:]
    luma = F.pad(luma, (0, max(LEAST - w, 0), 0, max(LEAST - h, 0)), mode="replicate")
    return (luma * 255).round().to(torch.uint8).numpy()


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise TweenError("`dis` needs OpenCV; install it with: pip install opencv-python-headless") from None
    return cv2
