"""A folder of scenes, each with im1, im2 and im3: Vimeo-90K's layout, and the shape every test set is read into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from tween.core import TweenError

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm")


@dataclass(frozen=True)
class Triplet:
    """Three pictures on disk; `truth` lies halfway between the other two."""

    name: str
    before: Path
    truth: Path
    after: Path

    def load(self) -> tuple[Tensor, Tensor, Tensor]:
        """(before, truth, after), each `3 h w` RGB in [0, 1]."""
        a, b, c = (load_image(p) for p in (self.before, self.truth, self.after))
        if not a.shape == b.shape == c.shape:
            sizes = ", ".join(f"{x.shape[-1]}x{x.shape[-2]}" for x in (a, b, c))
            raise TweenError(f"the three pictures of {self.name} should have one size, but have {sizes}")
        return a, b, c


def read(root: Path) -> Sequence[Triplet]:
    """Every folder below `root` that holds im1, im2 and im3 of any picture type, in the order of their names.

    `root` may be one scene itself, hold scenes, or hold folders of scenes (Vimeo-90K's `sequences`). With
    `tri_testlist.txt` beside it or in it, only the scenes listed there are read.
    """
    listed = scenes_in_list(root)
    scenes = [root / s for s in listed] if listed else sorted({p.parent for p in root.rglob("im1.*")})
    if not scenes:
        raise TweenError(
            f"{root} should hold folders with im1, im2 and im3, but has none; point --path at that folder"
        )
    return [
        Triplet(s.relative_to(root).as_posix(), *(picture(s, stem) for stem in ("im1", "im2", "im3")))
        for s in scenes
    ]


def scenes_in_list(root: Path) -> list[str]:
    """Scene names of `tri_testlist.txt` in `root` or beside it; none without that file. Blank lines are passed over."""
    for folder in (root, root.parent):
        if (folder / "tri_testlist.txt").is_file():
            prefix = "sequences/" if (root / "sequences").is_dir() else ""
            lines = (folder / "tri_testlist.txt").read_text().split()
            return [prefix + line for line in lines]
    return []


def picture(folder: Path, stem: str) -> Path:
    """The picture called `stem` in `folder`, whatever its type."""
    for suffix in SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise TweenError(f"{folder} should hold a picture {stem} ({' '.join(SUFFIXES)}), but does not")


def load_image(path: Path) -> Tensor:
    """`3 h w` RGB in [0, 1]."""
    try:
        with Image.open(path) as image:
            data = np.array(image.convert("RGB"))
    except (OSError, UnidentifiedImageError):
        raise TweenError(f"{path} should be a picture, but cannot be read; download the set again") from None
    return torch.from_numpy(data).permute(2, 0, 1).float() / 255


def demand(root: Path, what: str, files: Iterable[str]) -> None:
    """That every one of `files` lies below `root`.

    Raises:
        TweenError: naming the first that are missing and how many there are in all.
    """
    files = list(files)
    if not root.is_dir():
        raise TweenError(f"{root} should be a folder with {what}, but is not there")
    missing = [f for f in files if not (root / f).is_file()]
    if missing:
        some = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise TweenError(
            f"{root} should hold {what}, but {len(missing)} of {len(files)} pictures are missing: {some}"
        )
