"""The benchmarks of `tween eval splat`: Vimeo-90K, X-TEST, and windows of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from tween.core import Filler
from tween.data import DATASETS
from tween.data.clips import Windows
from tween.data.store import FrameStore
from tween.evaluate.middle import Table, middle_frames
from tween.evaluate.protocols import choose
from tween.evaluate.windows import Scene, clip_scenes, curved_scenes, window_psnr
from tween.models.splat.baseline import IndexLerp
from tween.models.splat.filler import SplatFiller
from tween.zoo import ZOO, load

SETS = {"vimeo": "vimeo", "x4k": "xtest-4k"}
"""Name on the command line -> name of the set."""
CURVES = 30
BESIDE = ("blend", "dis", "fast")


def measured(filler: Filler[Any], name: str, scenes: Sequence[Any], device: Any) -> Table:
    """A set by the protocol of its papers."""
    return middle_frames(filler, scenes, choose(SETS[name]), device=device)


def on_disk(vimeo: Path | None, x4k: Path | None) -> Callable[[nn.ModuleDict], dict[str, float]]:
    """The full benchmark of what is given: modules -> `vimeo_psnr`, `x4k_psnr`."""
    roots = {name: root for name, root in (("vimeo", vimeo), ("x4k", x4k)) if root}
    scenes = {name: DATASETS[SETS[name]].read(root) for name, root in roots.items()}

    def full(modules: nn.ModuleDict) -> dict[str, float]:
        """Means by name."""
        filler, where = SplatFiller(modules["net"]), next(modules.parameters()).device
        return {f"{name}_psnr": measured(filler, name, found, where).psnr for name, found in scenes.items()}

    return full


def on_windows(
    held: Callable[[torch.device], tuple[FrameStore, Windows]],
) -> Callable[[nn.ModuleDict], dict[str, float]]:
    """The full benchmark of held-out clips: modules -> mean PSNR as `clips_n2`, ..., `curves_n4`, `curves_fast`."""

    def full(modules: nn.ModuleDict) -> dict[str, float]:
        where = next(modules.parameters()).device
        store, windows = held(where)
        fillers = beside(SplatFiller(modules["net"]), BESIDE, str(where))
        values = {}
        for kind, scenes in (
            ("clips", clip_scenes(store, windows)),
            ("curves", curved_scenes(store, CURVES)),
        ):
            table = means(fillers, scenes, where)
            values |= {f"{kind}_{name}": value for name, value in table.items()}
        return values

    return full


def means(fillers: Mapping[str, Filler[Any]], scenes: Iterable[Scene], device: Any) -> dict[str, float]:
    """Mean PSNR by filler; none where there is no scene."""
    found = window_psnr(fillers, scenes, device=device)
    return {name: mean(rows.values()) for name, rows in found.items() if rows}


def beside(filler: SplatFiller, names: Sequence[str], device: str) -> dict[str, Filler[Any]]:
    """The network with 2, 3 and 4 frames, clouds mixed by index, and models of the zoo."""
    own = {f"n{n}": filler.seeing(n) for n in (2, 3, 4)}
    others = {
        name: load(name, device=device, precision="auto" if ZOO[name].file is None else "fp32")
        for name in names
    }
    return {**own, "lerp": IndexLerp(filler.net.config), **others}
