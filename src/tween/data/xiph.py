"""Xiph as interpolation papers test on it (Niklaus and Liu, CVPR 2020): the first hundred frames of eight clips of
4096x2160, each even frame from its two neighbours, at 2048x1080: scaled down ("2K") or cut from the middle ("4K").

Frames are `<clip>-001.png` to `<clip>-100.png` in one folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from tween.data.check import home, tally
from tween.data.dataset import Check
from tween.data.triplets import Triplet, demand

CLIPS = (
    "BoxingPractice",
    "Crosswalk",
    "DrivingPOV",
    "FoodMarket",
    "FoodMarket2",
    "RitualDance",
    "SquareAndTimelapse",
    "Tango",
)
SIZE = (4096, 2160)


def read(root: Path, kind: Literal["2k", "4k"]) -> Sequence[Triplet]:
    """49 triplets of each clip, whole at half size (2k) or their middle quarter (4k).

    Raises:
        TweenError: if a frame is missing.
    """
    place, frames = found(root)
    fit = halved if kind == "2k" else middle
    demand(place, "frames of Xiph's eight clips", (path for clip in frames for path in clip))
    return [
        Triplet(clip[n].stem, *clip[n - 1 : n + 2], size=SIZE, fit=fit)
        for clip in frames
        for n in range(1, 98, 2)
    ]


def check(root: Path) -> Check:
    """Whether the frames that are tested on, 99 of each clip, are there."""
    place, frames = found(root)
    return replace(tally(place, "clips", frames, len(CLIPS)), size=SIZE)


def found(root: Path) -> tuple[Path, list[list[Path]]]:
    """The folder and each clip's frames 1 to 99."""
    place = home(root, (f"{CLIPS[0]}-001.png",), "Xiph", ("netflix",))
    return place, [[place / f"{clip}-{n:03d}.png" for n in range(1, 100)] for clip in CLIPS]


def middle(picture: np.ndarray) -> np.ndarray:
    """The middle quarter."""
    h, w = picture.shape[:2]
    return picture[h // 4 : h - h // 4, w // 4 : w - w // 4]


def halved(picture: np.ndarray) -> np.ndarray:
    """At half size, by area."""
    from tween.video.bulk import halve

    return halve(picture[None])[0]
