"""How `fast` is trained: real triples and layered synthetic motion, mixed in every batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from tween.core import TweenError
from tween.data.clips import Shot, Triples, Windows, clip_triples, read_shots
from tween.data.layers import layer_triples, render
from tween.data.store import FrameStore, sample
from tween.engine.optim import Optim
from tween.engine.run import Run
from tween.metrics import psnr
from tween.models.interp.fast import FastConfig, FastNet
from tween.models.interp.task import InterpTask
from tween.video.bulk import pack

LINES = 540  # 22,000 frames of 540 lines are 29 GB: they fit into one GPU


def fast(
    *,
    data: Path,
    packed: Path,
    photos: Path | None = None,
    val: Path | None = None,
    name: str = "fast",
    device: str = "cuda",
    steps: int = 60_000,
    batch_size: int = 128,
    synthetic: float = 0.33,
    crop: tuple[int, int] = (256, 384),
    pixels: float = 24.0,
    lr: float = 5e-4,
    minutes: float | None = None,
    workers: int = 16,
    config: FastConfig | None = None,
    compiled: bool = True,
) -> Run:
    """A run of preset `fast`.

    Args:
        data: a folder with shots.csv and the clips it names; missing clips are left out, none at all is an error.
        packed: where decoded frames are kept between runs.
        photos: pictures whose pieces also become layers.
        val: a folder of triplets to validate on; the best weights are kept by their PSNR.
        synthetic: share of each batch that is layered motion with exact flow.
        pixels: greatest mean motion of a real triple.
        compiled: torch.compile for the step and for rendering.
    """
    where = torch.device(device)
    wrap: Callable[[Any], Any] = partial(torch.compile, dynamic=False) if compiled else lambda f: f
    store, windows = load(data, packed, photos, where, pixels=pixels, workers=workers)
    task = InterpTask(FastNet(config), compile_=wrap)
    task.modules.to(where, memory_format=torch.channels_last)
    draw, paint = wrap(sample), wrap(render)
    drawn = round(batch_size * synthetic)

    def batch(index: int) -> Triples:
        g = torch.Generator(where).manual_seed(1_000_003 * (index + 1))
        with torch.no_grad():
            real = clip_triples(store, windows, batch_size - drawn, crop, g, sample=draw)
            return Triples.cat([real, layer_triples(store, drawn, crop, g, render=paint)])

    return Run(
        name=name,
        task=task,
        batch=batch,
        batch_size=batch_size,
        steps=steps,
        optim=Optim(lr=lr, min_lr=lr / 50, warmup=1000, weight_decay=1e-3, rewarm=200),
        precision="bf16",
        ema=0.999,
        validate=None if val is None else partial(validate, triplets=read_triplets(val)),
        best_key=None if val is None else "psnr",
        eval_interval=2000,
        log_interval=200,
        save_interval=2000,
        minutes=minutes,
    )


def load(
    data: Path, packed: Path, photos: Path | None, device: torch.device, *, pixels: float, workers: int
) -> tuple[FrameStore, Windows]:
    """Every clip that is there, and every photo, on the device; and where triples may be drawn."""
    shots = [shot for shot in read_shots(data / "shots.csv") if (data / shot.file).exists()]
    if not shots:
        raise TweenError(f"{data} should hold the clips that its shots.csv names, but none is there")
    files = sorted({shot.file for shot in shots})
    pictures = sorted(photos.glob("*.jpg")) if photos else []
    arrays = pack([data / f for f in files] + pictures, packed, LINES, workers)
    counts = [len(np.load(path, mmap_mode="r")) for path in arrays]
    begin = dict(zip(files, np.cumsum([0, *counts]).tolist(), strict=False))
    shots = [_rescaled(shot, np.load(arrays[files.index(shot.file)], mmap_mode="r")) for shot in shots]
    windows = Windows.build(shots, [begin[s.file] + s.start for s in shots], pixels=pixels, device=device)
    return FrameStore.build([np.load(path, mmap_mode="r") for path in arrays], device), windows


def _rescaled(shot: Shot, clip: np.ndarray) -> Shot:
    """A shot that ends where its clip does: decoders differ by a frame or two at the end."""
    count = min(shot.count, len(clip) - shot.start)
    return Shot(file=shot.file, start=shot.start, count=count, flow=shot.flow)


def read_triplets(folder: Path) -> list[tuple[Tensor, Tensor, Tensor]]:
    """im1, im2, im3 of every scene as `1 3 h w` in [0, 1]."""
    scenes = sorted(path for path in folder.iterdir() if path.is_dir())
    return [tuple(_picture(next(scene.glob(f"im{i}.*"))) for i in (1, 2, 3)) for scene in scenes]


def _picture(path: Path) -> Tensor:
    array = np.asarray(Image.open(path).convert("RGB"))
    return torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255


def validate(
    modules: nn.ModuleDict, step: int, *, triplets: list[tuple[Tensor, Tensor, Tensor]]
) -> dict[str, float]:
    """Mean PSNR in dB of the middle frames, unrounded."""
    device = next(modules.parameters()).device
    values = []
    for im1, im2, im3 in triplets:
        h, w = im2.shape[-2:]
        pad = (0, -w % FastNet.multiple, 0, -h % FastNet.multiple)
        a, b = (F.pad(x.to(device), pad, mode="replicate") for x in (im1, im3))
        out = modules["net"](a, b, torch.full((1,), 0.5, device=device)).prediction[..., :h, :w]
        values.append(psnr(out.clamp(0, 1), im2.to(device)).mean())
    return {"psnr": torch.stack(values).mean().item()}
