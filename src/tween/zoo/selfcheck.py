"""Which precision a CPU should use, found out by running both: half precision is quicker only where the processor
multiplies it natively, and slower elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.core import Filler

SIZE = (256, 448)
ROUNDS = 3  # the first ones warm up
GAIN = 1.15  # bf16 must be this much quicker: a smaller gain is not worth its rounding
CLOSE = 2 / 255  # and its picture this near to fp32's on average


def quickest(build: Callable[[torch.dtype], Filler[Any]]) -> Filler[Any]:
    """The filler `build` gives in bf16 if it is quicker here than the one in fp32 and agrees with it, else fp32's."""
    full, half = build(torch.float32), build(torch.bfloat16)
    known = moving_pattern()
    seconds = {full: float("inf"), half: float("inf")}
    pictures = {}
    for _ in range(ROUNDS):  # in turns: other work on the machine strikes both
        for filler in (full, half):
            spent, pictures[filler] = timed(filler, known)
            seconds[filler] = min(seconds[filler], spent)
    near = (pictures[half].float() - pictures[full].float()).abs().mean() < CLOSE
    return half if near and seconds[half] * GAIN < seconds[full] else full


@torch.inference_mode()
def timed(filler: Filler[Any], known: Tensor) -> tuple[float, Tensor]:
    """Seconds of a fill of the middle frame, and that frame."""
    state = filler.begin(known[:, 0].shape, seed=0, device=known.device, dtype=known.dtype)
    start = time.perf_counter()
    frames, _ = filler.fill(state, known, (Fraction(0), Fraction(1)), (Fraction(1, 2),))
    return time.perf_counter() - start, frames


def moving_pattern() -> Tensor:
    """Two frames `1 2 3 h w` of a smooth random texture that moves by (12, 4) pixels."""
    h, w = SIZE
    noise = torch.rand(1, 3, h // 8 + 2, w // 8 + 4, generator=torch.Generator().manual_seed(0))
    texture = F.interpolate(noise, scale_factor=8, mode="bilinear", align_corners=False)
    return torch.stack((texture[..., 4 : h + 4, 12 : w + 12], texture[..., :h, :w]), 1).contiguous()
