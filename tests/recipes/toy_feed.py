"""Batches in memory, and a recipe small enough for a test."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from tests.models.interp.toy import TOY
from tween.data.clips import Triples
from tween.models.interp.config import with_block
from tween.recipes.feeds import Feed
from tween.recipes.plan import PLANS, Schedule
from tween.recipes.thesis import thesis

SMALL = with_block(replace(TOY, stem_stride=4, depths=(1, 1, 1)), chunk=64)


def triples(index: int, n: int = 2, size: tuple[int, int] = (64, 64), known: float = 0.0) -> Triples:
    """A soft texture that moves two pixels to the left a frame; `known` gives its flow along."""
    h, w = size
    noise = torch.rand(n, 3, h // 8 + 1, w // 8 + 2, generator=torch.Generator().manual_seed(index))
    wide = F.interpolate(noise, scale_factor=8, mode="bilinear")
    frames = torch.stack([wide[..., :h, 2 * i : 2 * i + w] for i in range(3)], 1)
    flow = torch.zeros(n, 4, h, w)
    flow[:, 0], flow[:, 2] = 2, -2  # what is at x was at x + 2
    return Triples(
        frames=frames,
        t=torch.full((n,), 0.5),
        flow=flow * known,
        between=2 * flow,
        known=torch.full((n,), known),
    )


def feed(samples: int = 4) -> Feed:
    """Batches in the crops and the mix of the schedule; `between` tells which set they are of."""

    def draw(schedule: Schedule, batch_size, seed, device):
        def batch(index: int) -> Triples:
            large = schedule.is_large(index)
            size = schedule.large_size(index) if large else schedule.main_size(index)
            return triples(index + 1000 * seed, batch_size, size)

        return batch

    return Feed(draw=draw, samples=samples, about={"source": "noise"})


def toy(runs, **changes):
    """A run of phase 1 with a small network on the CPU."""
    fields = {"phase": 1, "batch": feed(), "config": SMALL, "device": "cpu", "batch_size": 1, "runs": runs}
    fields["plan"] = replace(PLANS.get(changes.get("phase", 1), PLANS[1]), crop=64)
    return thesis(**(fields | changes))
