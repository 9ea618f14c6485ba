"""Fillers run as in a video, pair after pair, the shared frame known from before; and frames to run them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor

from tween.core import Filler


def stepper(filler: Filler, clip: Tensor) -> Callable[[], None]:
    """A call that fills the middle of the next pair of `clip`."""
    known = padded(clip, filler.multiple)
    state = filler.begin((1, *known.shape[1:]), seed=0, device=known.device, dtype=known.dtype)
    order = to_and_fro(len(clip))
    left, number = next(order), 0

    @torch.inference_mode()
    def step() -> None:
        nonlocal state, left, number
        right = next(order)
        times = Fraction(number), Fraction(number + 1)
        _, state = filler.fill(state, known[None, [left, right]], times, (number + Fraction(1, 2),))
        left, number = right, number + 1

    return step


def padded(clip: Tensor, multiple: int) -> Tensor:
    """`clip` with its border repeated at the right and below, to sizes that `multiple` divides."""
    h, w = clip.shape[-2:]
    return F.pad(clip, (0, -w % multiple, 0, -h % multiple), mode="replicate")


def to_and_fro(count: int) -> Iterator[int]:
    """0, 1 ... count - 1 and back, for ever: no jump that could pass for a cut."""
    return cycle([*range(count), *range(count - 2, 0, -1)])


def moving(size: tuple[int, int], *, count: int, seed: int = 0) -> Tensor:
    """A texture with detail at several scales that moves by (9, 3) pixels a frame: `t 3 h w` in [0, 1]."""
    h, w = size
    generator = torch.Generator().manual_seed(seed)
    big_h, big_w = h + 3 * count, w + 9 * count
    canvas = torch.zeros(1, 3, big_h, big_w)
    for cell, share in ((64, 0.4), (16, 0.3), (4, 0.2), (1, 0.1)):
        noise = torch.rand(1, 3, big_h // cell + 2, big_w // cell + 2, generator=generator)
        canvas += share * F.interpolate(noise, size=(big_h, big_w), mode="bilinear", align_corners=False)
    return torch.stack([canvas[0, :, 3 * k : 3 * k + h, 9 * k : 9 * k + w] for k in range(count)])
