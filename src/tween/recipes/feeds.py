"""Where the batches of a phase come from: Vimeo90K and X4K1000FPS from disk, or any clips, held on the device."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tween.core import TweenError
from tween.data import shards, shuffled
from tween.data.clips import Triples, Windows, clip_triples
from tween.data.layers import layer_triples, render
from tween.data.store import FrameStore, sample
from tween.data.triplets import read as read_triplets
from tween.engine import distributed
from tween.recipes.interp import load
from tween.recipes.plan import VIMEO, Schedule

Batch = Callable[[int], Triples]


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Where batches come from.

    Attributes:
        draw: (schedule, batch size, seed, device) -> index -> batch, a pure function of the index.
        samples: in one epoch.
        scenes: triplets to validate on.
        about: for the report: names, paths, counts.
    """

    draw: Callable[[Schedule, int, int, torch.device], Batch]
    samples: int = VIMEO
    scenes: Sequence[Any] = ()
    about: dict[str, Any] = field(default_factory=dict)


def clips(
    *,
    data: Path,
    packed: Path,
    photos: Path | None = None,
    val: Path | None = None,
    synthetic: float = 0.0,
    pixels: float = 24.0,
    workers: int = 16,
    compiled: bool = False,
    load: Callable[..., tuple[FrameStore, Windows]] = load,
) -> Feed:
    """Clips named by shots.csv, and layers of moving cut-outs; all on the device, so an epoch is as long as Vimeo90K's.

    In phase 3 the large-motion batches are the same clips at up to twice the distance, in crops that grow.

    Args:
        data, packed, photos, pixels, workers: as in `tween.recipes.interp.fast`.
        val: a folder of triplets to validate on.
        synthetic: share of each batch that is layered motion with exact flow, from 0 to 1.
        compiled: torch.compile for rendering.
        load: a cached one keeps the frames for the next run of the same process.
    """
    if not 0 <= synthetic <= 1:
        raise TweenError(f"synthetic should be a share from 0 to 1, but got {synthetic}")

    def draw(schedule: Schedule, batch_size: int, seed: int, device: torch.device) -> Batch:
        store, windows = load(data, packed, photos, device, pixels=pixels, workers=workers)
        wrap: Callable[[Any], Any] = partial(torch.compile, dynamic=False) if compiled else lambda f: f
        large = replace(windows, reach=torch.minimum(2 * windows.reach, windows.count - 1))
        return partial(
            _batch,
            schedule=schedule,
            store=store,
            windows=(windows, large),
            counts=(batch_size - round(batch_size * synthetic), round(batch_size * synthetic)),
            seed=seed,
            sample=wrap(sample),
            render=wrap(render),
        )

    about = {
        "clips": str(data),
        "photos": str(photos),
        "layered share": synthetic,
        "greatest motion, px": pixels,
    }
    return Feed(draw=draw, scenes=() if val is None else read_triplets(val), about=about)


def from_shards(folder: Path, *, val: Path | None = None, workers: int = 8) -> Feed:
    """Shards that `tween data shard` wrote, every sample once an epoch, dealt out over the processes of torchrun.

    Raises:
        TweenError: if there are none or one is cut short; when drawn, for a phase that mixes two sets.
    """
    found = shards.read(folder)

    def draw(schedule: Schedule, batch_size: int, seed: int, device: torch.device) -> Batch:
        if schedule.ratio[1]:
            raise TweenError(
                "shards are one set, but this phase mixes two; use --mixed-ratio 1:0, or --data-path and --x4k-path"
            )
        world, size = distributed.start().world, schedule.main_size
        fields = {"batch_size": batch_size, "size": size, "seed": seed, "device": device}
        return shuffled.batches(found, **fields, workers=workers, stride=world)

    about = {"shards": str(folder), "samples": len(found)}
    return Feed(draw=draw, samples=len(found), scenes=() if val is None else read_triplets(val), about=about)


@torch.no_grad()
def _batch(
    index: int,
    *,
    schedule: Schedule,
    store: FrameStore,
    windows: tuple[Windows, Windows],
    counts: tuple[int, int],
    seed: int,
    sample: Callable[..., Any],
    render: Callable[..., Any],
) -> Triples:
    device = store.pixels.device
    g = torch.Generator(device).manual_seed(random.Random(f"{seed}/{index}").getrandbits(63))
    large = schedule.is_large(index)
    size = schedule.large_size(index) if large else schedule.main_size(index)
    real, made = counts
    parts = [clip_triples(store, windows[large], real, size, g, sample=sample)] if real else []
    parts += [layer_triples(store, made, size, g, render=render)] if made else []
    return Triples.cat(parts)
