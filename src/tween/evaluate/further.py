"""Measures beside PSNR, SSIM and interpolation error, ready for `middle_frames`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tween.core import TweenError
from tween.evaluate.middle import Further
from tween.metrics import load_lpips, psnr_div
from tween.models.interp.baselines import dis_flow

NAMES = ("lpips", "psnr_div")


def measures(names: Sequence[str], device: torch.device | str) -> dict[str, Further]:
    """Those of `names`; and LPIPS, wherever its weights are.

    Raises:
        TweenError: if LPIPS is asked for and its weights are not there; the message says how to get them.
    """
    found: dict[str, Further] = {}
    try:
        found["lpips"] = _lpips(device)
    except TweenError:
        if "lpips" in names:
            raise
    if "psnr_div" in names:
        found["psnr_div"] = motion_psnr
    return found


def _lpips(device: torch.device | str) -> Further:
    net = load_lpips().to(device)

    def value(made: Tensor, truth: Tensor, *_: Any) -> float:
        return net(made, truth).item()

    return value


def motion_psnr(made: Tensor, truth: Tensor, before: Tensor, after: Tensor) -> float:
    """PSNR_DIV with the motion from what was made to the frame after, by DIS (the paper takes Farneback's and finds
    that the estimator matters little)."""
    flow, _ = dis_flow(made, after)
    return psnr_div(made, truth, flow).item()
