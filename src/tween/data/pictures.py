"""Pictures on disk, and frames of videos, as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tween.core import TweenError

PICTURES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm")


class FrameOf(NamedTuple):
    """A frame of a video, by its time stamp (see `tween.video.pick`)."""

    video: Path
    stamp: int


Picture = Path | FrameOf


def files_below(root: Path) -> list[Path]:
    """Every file below `root`, in the order of their paths. Folders that are links are looked into as well, since large
    sets are often linked together; a link that leads back up is not."""
    found: list[Path] = []
    for place, folders, names in os.walk(root, followlinks=True):
        here = Path(place)
        up = (here.resolve(), *here.resolve().parents)
        folders[:] = [
            name for name in folders if not (here / name).is_symlink() or (here / name).resolve() not in up
        ]
        found += [here / name for name in names]
    return sorted(found)


def pixels(path: Path) -> np.ndarray:
    """`h w 3` uint8 RGB.

    Raises:
        TweenError: if it is not there or cannot be read.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise TweenError(f"{path} should be a picture, but is not there; copy the set again") from None
    except Exception:  # decoders meet damage with errors of every kind
        raise TweenError(f"{path} should be a picture, but cannot be read; download it again") from None


def arrays(pictures: Sequence[Picture]) -> list[np.ndarray]:
    """Each `h w 3` uint8 RGB; a video is opened once for all of its frames.

    Raises:
        TweenError: if one cannot be read.
    """
    picked = {}
    for video in {p.video for p in pictures if isinstance(p, FrameOf)}:
        from tween.video.pick import pick  # pictures alone can be read, and trained on, without PyAV

        wanted = [p for p in pictures if isinstance(p, FrameOf) and p.video == video]
        picked |= zip(wanted, pick(video, [p.stamp for p in wanted]), strict=True)
    return [picked[p] if isinstance(p, FrameOf) else pixels(p) for p in pictures]


def stacked(pictures: Iterable[Picture]) -> Tensor:
    """`n 3 h w` uint8 of pictures of one size.

    Raises:
        TweenError: if one cannot be read, or their sizes differ.
    """
    pictures = list(pictures)
    found = arrays(pictures)
    same_size(file_of(pictures[0]).parent, found)
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)


def file_of(picture: Picture) -> Path:
    """Where it lies."""
    return picture.video if isinstance(picture, FrameOf) else picture


def same_size(name: object, pictures: Iterable[np.ndarray]) -> None:
    """That arrays `h w 3` have one size.

    Raises:
        TweenError: naming the sizes.
    """
    sizes = [f"{a.shape[1]}x{a.shape[0]}" for a in pictures]
    if len(set(sizes)) > 1:
        raise TweenError(
            f"the pictures of {name} should have one size, but have {', '.join(sizes)}; download them again"
        )
