"""How `fast` and `quality` are trained: real triples and layered synthetic motion, mixed in every batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tween.core import TweenError
from tween.data.clips import Shot, Triples, Windows, clip_triples
from tween.data.layers import layer_triples, render
from tween.data.store import FrameStore, sample
from tween.data.triplets import Triplet
from tween.data.triplets import read as read_triplets
from tween.data.videos import clips
from tween.engine import checkpoint, distributed
from tween.engine.optim import Optim
from tween.engine.run import Run
from tween.evaluate import choose, middle_frames
from tween.models.interp.fast import FastConfig, FastNet
from tween.models.interp.filler import InterpFiller
from tween.models.interp.quality import QualityConfig, QualityNet
from tween.models.interp.task import InterpTask, Weights
from tween.recipes.start import find
from tween.video.bulk import STILLS, pack
from tween.zoo import ZOO
from tween.zoo.load import place, released

LINES = 540  # the training clips are 29 GB then as uint8, 5/3 of it in a FrameStore: it fits into one GPU


def fast(
    *,
    name: str = "fast",
    config: FastConfig | None = None,
    start: str | None = None,
    flips: float = 0.0,
    **settings: Any,
) -> Run:
    """A run of preset `fast`.

    Args:
        name: of the run's folder.
        config: of the network.
        start: weights to begin from: released ones such as `fast`, or those of a run; the teacher begins anew.
        flips: weight of the distance to what `start` gives under all flips, averaged: better than its one answer.
        settings: of `run`.

    Raises:
        TweenError: if there are flips to learn from, but no start that gives them.
    """
    if flips < 0:
        raise TweenError(f"--flips is a weight, 0 or more, but got {flips}")
    if flips and start is None:
        raise TweenError(
            "--flips pulls to what trained weights give; name them by --start, such as --start fast"
        )
    torch.manual_seed(0)  # a run is a function of its arguments
    net = FastNet(config)
    if start is not None:
        begin(net, start)
    return run(net, name=name, flips=flips, **settings)


def quality(
    *,
    name: str = "quality",
    config: QualityConfig | None = None,
    start: str | None = "fast",
    inner: float = 0.0,
    **settings: Any,
) -> Run:
    """A run of preset `quality`.

    Args:
        name, config: as of `fast`.
        start: weights that the `fast` inside begins from, as of `fast`; None: anew.
        inner: how fast that learns, of the rate of all else; 0 leaves it as it is, and a step is cheaper.
        settings: of `run`.
    """
    torch.manual_seed(0)
    net = QualityNet(config)
    if start is not None:
        begin(net.fast, start)
    net.fast.requires_grad_(inner > 0)
    return run(net, name=name, inner=inner, **settings)


def begin(net: FastNet, start: str, runs: Path = Path("runs")) -> None:
    """Give `net` the weights of a released name, or of a run: NAME, NAME_best or a file.

    Raises:
        TweenError: if there are none, or they are of another network.
    """
    found = (
        released(start) if start in ZOO else checkpoint.part(checkpoint.weights(find(start, runs)), "net.")
    )
    own = net.state_dict()
    if own.keys() != found.keys() or any(own[name].shape != value.shape for name, value in found.items()):
        raise TweenError(
            f"{start} should hold the weights of a network such as fast, but is another; begin from one"
        )
    net.load_state_dict(found)


def run(
    net: FastNet | QualityNet,
    *,
    data: Path,
    packed: Path,
    name: str,
    photos: Path | None = None,
    val: Path | None = None,
    device: str = "cuda",
    steps: int = 60_000,
    batch_size: int = 128,
    synthetic: float = 0.33,
    crop: Sequence[int] = (256, 384),
    shrink: Sequence[float] = (1.0,),
    pixels: float = 24.0,
    lr: float = 5e-4,
    minutes: float | None = None,
    workers: int = 16,
    compiled: bool = True,
    inner: float = 1.0,
    flips: float = 0.0,
) -> Run:
    """A run that trains `net`.

    Args:
        data: a folder of clips; of those that its shots.csv names missing ones are left out, none at all is an error;
            without a shots.csv cuts are looked for, and kept as one.
        packed: where decoded frames are kept between runs.
        photos: pictures whose pieces also become layers.
        val: a folder of triplets to validate on; the best weights are kept by their PSNR.
        synthetic: share of each batch that is layered motion with exact flow.
        crop: height and width; or of several, whose batches take turns.
        shrink: motion is estimated on crops this much smaller, as it is on large frames; 1: as they are. One for all
            crops, or one for each.
        pixels: greatest mean motion of a real triple.
        compiled: torch.compile for the step and for rendering.
        inner: rate of the `fast` inside `quality`, of `lr`.
        flips: weight of the distance to what `net` gives now under all flips, averaged; 0: none.

    Raises:
        TweenError: no clips, a crop the network cannot take, a batch without real triples, an unusable device.
    """
    drawn = round(batch_size * synthetic)
    shrinks = _shrinks(crop, shrink)
    _check(shrinks, drawn, batch_size)
    where = place(device)
    wrap: Callable[[Any], Any] = partial(torch.compile, dynamic=False) if compiled else lambda f: f
    store, windows = load(data, packed, photos, where, pixels=pixels, workers=workers)
    net.to(where, memory_format=torch.channels_last)
    tutor = copy.deepcopy(net).eval().requires_grad_(False) if flips else None
    own = {"lr": inner * lr}
    task = InterpTask(net, Weights(flips=flips), shrinks=shrinks, inner=own, tutor=tutor, compile_=wrap)
    task.modules.to(where, memory_format=torch.channels_last)
    draw, paint, sizes = wrap(sample), wrap(render), list(shrinks)

    def batch(index: int) -> Triples:
        g = torch.Generator(where).manual_seed(1_000_003 * (index + 1))
        size = sizes[index % len(sizes)]
        with torch.no_grad():
            real = clip_triples(store, windows, batch_size - drawn, size, g, sample=draw)
            made = [layer_triples(store, drawn, size, g, render=paint)] if drawn else []
            return Triples.cat([real, *made])

    return Run(
        name=name,
        task=task,
        batch=batch,
        batch_size=batch_size,
        steps=steps,
        optim=Optim(lr=lr, min_lr=lr / 50, warmup=min(1000, -(-steps // 10)), weight_decay=1e-3, rewarm=200),
        precision="bf16",
        ema=0.999,
        validate=None if val is None else partial(validate, scenes=read_triplets(val)),
        best_key=None if val is None else "psnr",
        eval_interval=min(2000, -(-steps // 10)),
        log_interval=min(200, -(-steps // 10)),
        save_interval=min(2000, -(-steps // 10)),
        minutes=minutes,
    )


def _shrinks(crop: Sequence[int], shrink: Sequence[float]) -> dict[tuple[int, int], float]:
    """How much smaller motion is estimated on crops of each size (h, w)."""
    sizes = list(zip(crop[::2], crop[1::2], strict=False))
    if len(crop) % 2 or not sizes or len(set(sizes)) < len(sizes) or len(shrink) not in (1, len(sizes)):
        raise TweenError(
            f"--crop should be heights and widths of crops that differ, and --shrink one number, or one for each of "
            f"them, but got {tuple(crop)} and {tuple(shrink)}; such as --crop 288 448 448 704 --shrink 1 1.5"
        )
    return dict(zip(sizes, [*shrink] * len(sizes), strict=False))


def _check(shrinks: Mapping[tuple[int, int], float], drawn: int, batch_size: int) -> None:
    if wrong := [shrink for shrink in shrinks.values() if shrink < 1]:
        raise TweenError(
            f"shrink should be 1 or more, but got {wrong[0]}; 1 estimates motion on crops as they are"
        )
    for crop in shrinks:
        if any(side % 32 for side in crop) or min(crop) < 64:  # the pyramid of the loss needs over 32 px
            raise TweenError(f"crop should be multiples of 32 from 64 on, but got {crop}")
    if batch_size > 0 and not 0 <= drawn < batch_size:
        raise TweenError(
            f"synthetic should leave real triples in a batch of {batch_size}, but {drawn} were to be synthetic; "
            f"take a share from 0 to below 1"
        )


def load(
    data: Path, packed: Path, photos: Path | None, device: torch.device, *, pixels: float, workers: int
) -> tuple[FrameStore, Windows]:
    """Every clip that is there, and every photo, on the device; and where triples may be drawn."""
    pictures = photographs(photos) if photos else []
    with distributed.first():  # of several processes one looks for cuts, and decodes
        shots = clips(data)
        files = sorted({shot.file for shot in shots})
        arrays = pack([data / f for f in files] + pictures, packed, LINES, workers)
    counts = [len(np.load(path, mmap_mode="r")) for path in arrays]
    begin = dict(zip(files, np.cumsum([0, *counts]).tolist(), strict=False))
    shots = [_within(shot, np.load(arrays[files.index(shot.file)], mmap_mode="r")) for shot in shots]
    windows = Windows.build(shots, [begin[s.file] + s.start for s in shots], pixels=pixels, device=device)
    return FrameStore.build([np.load(path, mmap_mode="r") for path in arrays], device), windows


def photographs(folder: Path) -> list[Path]:
    """The pictures in `folder` that become layers.

    Raises:
        TweenError: if there is none.
    """
    found = sorted(folder.glob("*.*")) if folder.is_dir() else []
    found = [p for p in found if p.suffix.lower() in STILLS]
    if not found:
        raise TweenError(
            f"--photos should be a folder of pictures ({' '.join(STILLS)}), but {folder} has none"
        )
    return found


def _within(shot: Shot, clip: np.ndarray) -> Shot:
    """A shot that ends where its clip does: decoders differ by a frame or two at the end."""
    return replace(shot, count=min(shot.count, len(clip) - shot.start))


def validate(modules: nn.ModuleDict, step: int, *, scenes: Sequence[Triplet]) -> dict[str, float]:
    """Mean PSNR in dB of the middle frames, unrounded, filled by what users run."""
    where, training = next(modules.parameters()).device, modules.training
    table = middle_frames(InterpFiller(modules["net"]), scenes, choose("triplets"), device=where)
    modules.train(training)  # a network left in the other mode would be compiled once more
    return {"psnr": table.psnr}
