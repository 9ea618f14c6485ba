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
from tween.data import DATASETS, shards
from tween.data.clips import Triples, Windows, clip_triples
from tween.data.layers import layer_triples, render
from tween.data.mixed import Part, batches
from tween.data.shuffled import order
from tween.data.store import FrameStore, sample
from tween.data.vimeo_septuplet import Septuplets
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
    synthetic: float = 0.0,
    pixels: float = 24.0,
    workers: int = 16,
    compiled: bool = False,
    load: Callable[..., tuple[FrameStore, Windows]] = load,
) -> Feed:
    """Clips named by shots.csv, and layers of moving cut-outs; all on the device, so an epoch is as long as Vimeo90K's.

    In phase 3 the large-motion batches are the same clips at up to twice the distance, in crops that grow. Phase 1,
    whose network is not told t, sees t = 1/2 alone.

    Args:
        data, packed, photos, pixels, workers: as in `tween.recipes.interp.fast`.
        synthetic: share of each batch that is layered motion with exact flow, from 0 to 1.
        compiled: torch.compile for rendering.
        load: a cached one keeps the frames for the next run of the same process.
    """
    if not 0 <= synthetic <= 1:
        raise TweenError(f"synthetic should be a share from 0 to 1, but got {synthetic}")

    def draw(schedule: Schedule, batch_size: int, seed: int, device: torch.device) -> Batch:
        store, windows = load(data, packed, photos, device, pixels=pixels, workers=max(1, workers))
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
    return Feed(draw=draw, about=about)


def from_shards(folders: Sequence[Path], *, workers: int = 8) -> Feed:
    """Shards that `tween data shard` wrote, every sample once an epoch, dealt out over the processes of torchrun.

    Args:
        folders: of the main set, and of the large-motion set where the phase mixes two; phase 1, whose network is not
            told t, wants samples at t = 1/2, such as Vimeo90K's triplets.

    Raises:
        TweenError: if there are none or one is cut short; when drawn, if the phase needs a set that is not given.
    """
    sets = [shards.read(folder) for folder in folders]

    def draw(schedule: Schedule, batch_size: int, seed: int, device: torch.device) -> Batch:
        if schedule.ratio[1] and len(sets) < 2:
            raise TweenError(
                "this phase mixes two sets, but there are shards of one; give --shards MAIN LARGE, or --mixed-ratio 1:0"
            )
        sizes = schedule.main_size, schedule.large_size
        parts = [
            Part(source=source, share=share, size=size, order=order)
            for source, share, size in zip(sets, schedule.ratio, sizes, strict=False)
        ]
        fields = {"batch_size": batch_size, "seed": seed, "device": device, "workers": workers}
        return batches(parts, **fields, stride=schedule.world)

    about = {str(folder): f"{len(source)} samples" for folder, source in zip(folders, sets, strict=True)}
    return Feed(draw=draw, samples=len(sets[0]), about=about)


def sets(
    *,
    data_path: Path | None,
    x4k_path: Path | None = None,
    ratio: tuple[int, int] = (1, 0),
    workers: int = 8,
) -> Feed:
    """Vimeo90K, and X4K1000FPS where the ratio has a share of it, read from disk by `workers` processes.

    Args:
        data_path: Vimeo90K, triplet or septuplet.
        x4k_path: X4K1000FPS.
        ratio: as in the schedule; a set without a share is not opened, but Vimeo90K is still validated on.

    Raises:
        TweenError: if a set with a share is not given or not there.
    """
    paths = {"--data-path": data_path, "--x4k-path": x4k_path}
    if not any(ratio):
        raise TweenError("a mix of 0:0 has nothing in it; give --mixed-ratio a share above 0, such as 2:1")
    for (flag, path), share in zip(paths.items(), ratio, strict=True):
        if share and path is None:
            raise TweenError(f"a mix of {ratio[0]}:{ratio[1]} needs {flag}; give it, or change --mixed-ratio")
    kinds = (vimeo_kind(data_path) if data_path else "", "x4k")
    sources = [
        DATASETS[kind].train(path) if share else None
        for kind, path, share in zip(kinds, paths.values(), ratio, strict=True)
    ]
    opened = [named for named in zip(kinds, paths.values(), sources, strict=True) if named[2] is not None]
    for kind, path, source in opened:
        if not len(source):
            raise TweenError(
                f"the training list of {kind} at {path} should name scenes, but is empty; copy it again"
            )

    def draw(schedule: Schedule, batch_size: int, seed: int, device: torch.device) -> Batch:
        sizes = (schedule.main_size, schedule.large_size)
        halved = [
            replace(s, halfway=True) if schedule.halfway and isinstance(s, Septuplets) else s for s in sources
        ]
        parts = [
            Part(source=source, share=share, size=size)
            for source, share, size in zip(halved, schedule.ratio, sizes, strict=True)
            if source is not None
        ]
        return batches(
            parts, batch_size=batch_size, workers=workers, seed=seed, device=device, stride=schedule.world
        )

    scenes = () if data_path is None else DATASETS[kinds[0]].read(data_path)
    named = {f"{kind} at {path}": f"{len(source)} samples" for kind, path, source in opened}
    main = len(opened[0][2])
    return Feed(draw=draw, samples=main, scenes=scenes, about={**named, "mix": f"{ratio[0]}:{ratio[1]}"})


def vimeo_kind(path: Path) -> str:
    """Triplets unless the folder holds the list of the septuplets alone."""
    near = (path, path / "vimeo_triplet", path / "vimeo_septuplet", path.parent)
    lists = {
        name
        for name in ("tri_trainlist.txt", "sep_trainlist.txt")
        for place in near
        if (place / name).exists()
    }
    return "vimeo-septuplet" if lists == {"sep_trainlist.txt"} else "vimeo"


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
    (real, made), half = counts, schedule.halfway
    parts = [clip_triples(store, windows[large], real, size, g, sample=sample, halfway=half)] if real else []
    parts += [layer_triples(store, made, size, g, render=render, halfway=half)] if made else []
    return Triples.cat(parts)
