"""Where windows of N frames come from: Vimeo-90K and X4K1000FPS from disk, or clips and layers held on the device."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tween.core import TweenError
from tween.data.clips import Windows
from tween.data.layers import render
from tween.data.store import FrameStore, sample
from tween.data.windows import Cuts, Pairing, Window, batches, septuplet_windows, vimeo_windows, x4k_windows
from tween.data.windows_made import clip_windows, joined, layer_windows, require
from tween.models.splat.net import interval
from tween.recipes.feeds import vimeo_kind
from tween.recipes.interp import load
from tween.recipes.teachers import dis

Mode = Literal["vimeo_only", "x4k_only", "mixed", "curriculum"]
GROWING = 0.55  # share of the run in which one set follows the other

Batch = Callable[[int], Window]


@dataclass(frozen=True, kw_only=True)
class Length:
    """Of a run: steps in all, and batches that all processes take in one."""

    steps: int
    each: int = 1

    def share(self, index: int) -> float:
        """How far the run is at batch `index`, 0 to 1."""
        return index // self.each / self.steps


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Where batches come from.

    Attributes:
        draw: (length, batch size, crop (h, w), seed, device) -> index -> batch, a pure function of the index.
        samples: in one epoch.
        about: for the report.
        held: (device) -> frames and shots that are not trained on; None where there are none.
    """

    draw: Callable[[Length, int, tuple[int, int], int, torch.device], Batch]
    samples: int
    about: dict[str, Any] = field(default_factory=dict)
    held: Callable[[torch.device], tuple[FrameStore, Windows]] | None = None


def stage(index: int, *, length: Length, count: int, growing: bool, seed: int) -> int:
    """Which of `count` sets batch `index` is of: one after the other in the first 55 % of the run where they grow, any
    thereafter. All processes take the same in one step, so that none waits for larger windows than its own."""
    share = length.share(index) / GROWING
    if growing and share < 1:
        return min(int(share * count), count - 1)
    return int(np.random.default_rng((seed, index // length.each)).integers(count))


def disk(
    mode: Mode,
    *,
    vimeo_root: Path | None,
    x4k_root: Path | None,
    pairs: Sequence[Pairing],
    growing: bool = True,
    workers: int = 8,
) -> Feed:
    """Vimeo-90K, triplets or septuplets (N = 4), and windows of X4K1000FPS.

    Args:
        mode: which of the two; `curriculum` is `mixed`, growing.
        pairs: windows of X4K1000FPS. They grow from many frames to few: the more frames, the nearer they lie.
        growing: Vimeo-90K first, then each kind of window alone, then all.

    Raises:
        TweenError: if a set is not given or not there.
    """
    sets: list[Cuts] = []
    if mode != "x4k_only":
        root = _given(vimeo_root, "--vimeo-root", mode)
        sets.append((septuplet_windows if vimeo_kind(root) == "vimeo-septuplet" else vimeo_windows)(root))
    if mode != "vimeo_only":
        root = _given(x4k_root, "--x4k-root", mode)
        sets += [x4k_windows(root, pair) for pair in sorted(pairs, key=lambda pair: -pair.n)]
    growing = growing or mode == "curriculum"

    def draw(
        length: Length, batch_size: int, size: tuple[int, int], seed: int, device: torch.device
    ) -> Batch:
        choose = partial(stage, length=length, count=len(sets), growing=growing, seed=seed)
        fields = {"batch_size": batch_size, "seed": seed, "device": device, "workers": workers}
        return batches(sets, choose, size=size, **fields, stride=length.each)

    about = {"mode": mode, "curriculum": growing, "windows": [(p.step, p.n) for p in pairs]}
    about |= {f"set {i} (N = {s.n})": f"{len(s)} clips" for i, s in enumerate(sets)}
    return Feed(draw=draw, samples=sum(map(len, sets)), about=about)


def _given(path: Path | None, flag: str, mode: str) -> Path:
    if path is None:
        raise TweenError(
            f"--mode {mode} needs {flag}; give it, or choose another mode, or train on clips by --data"
        )
    return path


def clips(
    *,
    data: Path,
    packed: Path,
    photos: Path | None = None,
    n_frames: Sequence[int] = (2, 3, 4),
    synthetic: float = 0.4,
    pixels: float = 24.0,
    hold_out: int = 0,
    growing: bool = False,
    workers: int = 16,
    samples: int = 51_313,
    load: Callable[..., tuple[FrameStore, Windows]] = load,
) -> Feed:
    """Clips named by shots.csv and layers that move on curves, all on the device; a batch shares N.

    Args:
        data, packed, photos, pixels, workers: as in `tween.recipes.interp.fast`.
        n_frames: the N of windows; growing, they come from many to few first.
        synthetic: share of each batch that is layers, from 0 to 1.
        hold_out: every so many'th shot is kept for validation; 0: none.
    """
    if not 0 <= synthetic <= 1:
        raise TweenError(f"synthetic should be a share from 0 to 1, but got {synthetic}")
    if not n_frames or min(n_frames) < 2:
        raise TweenError(f"--n-frames should be numbers of two or more, but got {list(n_frames)}")
    order = sorted(set(n_frames), reverse=True)
    kept: dict[torch.device, tuple[FrameStore, Windows]] = {}

    def store(device: torch.device) -> tuple[FrameStore, Windows]:
        if device not in kept:
            kept[device] = load(data, packed, photos, device, pixels=pixels, workers=max(1, workers))
        return kept[device]

    def draw(
        length: Length, batch_size: int, size: tuple[int, int], seed: int, device: torch.device
    ) -> Batch:
        frames, windows = store(device)
        choose = partial(stage, length=length, count=len(order), growing=growing, seed=seed)
        made, shown = round(batch_size * synthetic), split(windows, hold_out)[0]
        for n in order if made < batch_size else ():
            require(shown, n)
        return partial(
            _batch, store=frames, windows=shown, order=order, choose=choose,
            counts=(batch_size - made, made), size=size, seed=seed,
        )  # fmt: skip

    def held(device: torch.device) -> tuple[FrameStore, Windows]:
        frames, windows = store(device)
        return frames, split(windows, hold_out)[1]

    about = {"clips": str(data), "photos": str(photos), "layered share": synthetic, "N": order}
    return Feed(draw=draw, samples=samples, about=about, held=held if hold_out else None)


def split(windows: Windows, every: int) -> tuple[Windows, Windows]:
    """Shots to train on and every `every`th one, to validate on; 0: all, and none."""
    index = torch.arange(len(windows.first), device=windows.first.device)
    out = index % every == every - 1 if every else index < 0
    return tuple(
        replace(
            windows, **{name: getattr(windows, name)[keep] for name in ("first", "count", "reach", "weight")}
        )
        for keep in (~out, out)
    )


@torch.no_grad()
def _batch(
    index: int,
    *,
    store: FrameStore,
    windows: Windows,
    order: Sequence[int],
    choose: Callable[[int], int],
    counts: tuple[int, int],
    size: tuple[int, int],
    seed: int,
) -> Window:
    device, n = store.pixels.device, order[choose(index)]
    g = torch.Generator(device).manual_seed(random.Random(f"{seed}/{index}").getrandbits(63))
    real, made = counts
    parts = [clip_windows(store, windows, n, real, size, g, sample=sample)] if real else []
    parts += [layer_windows(store, n, made, size, g, render=render)] if made else []
    return joined(parts)


def taught(feed: Feed) -> Feed:
    """`feed` where OpenCV's DIS says how real windows moved: between neighbours, and into the true frame from the two
    around it. It runs on the CPU, so it is slow, and it is wrong where things are hidden."""

    def draw(*args: Any) -> Batch:
        batch = feed.draw(*args)
        return lambda index: told(batch(index))

    return replace(feed, draw=draw, about=feed.about | {"flow of clips": "dis"})


def told(batch: Window) -> Window:
    """The batch with DIS's flow in the samples whose motion is not known."""
    real = (batch.known == 0).nonzero()[:, 0]
    if not len(real):
        return batch
    frames, truth, n = batch.frames[real], batch.truth[real], batch.frames.shape[1]
    flow = batch.flow.clone()
    for i in range(n - 1):
        flow[real, i, i + 1] = dis(frames[:, i], frames[:, i + 1]).to(flow)
        flow[real, i + 1, i] = dis(frames[:, i + 1], frames[:, i]).to(flow)
    left = interval(batch.times[real], batch.t[real])
    for side in (left, left + 1):
        here = frames[torch.arange(len(real), device=side.device), side]
        flow[real, side, n] = dis(here, truth).to(flow)
    return replace(batch, flow=flow, known=torch.ones_like(batch.known))
