"""A folder of scenes, each with im1, im2 and im3, and the shape every test set of pictures is read into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.check import tally
from tween.data.dataset import Check
from tween.data.pictures import PICTURES, Picture, arrays, file_of, files_below, same_size


@dataclass(frozen=True)
class Triplet:
    """Three pictures on disk, or frames of a video.

    Attributes:
        t: where `truth` lies between `before` (0) and `after` (1).
        size: (width, height) they should have on disk; None: any.
        fit: `h w 3` uint8 as it is on disk -> as it is measured on.
    """

    name: str
    before: Picture
    truth: Picture
    after: Picture
    t: Fraction = Fraction(1, 2)
    size: tuple[int, int] | None = None
    fit: Callable[[np.ndarray], np.ndarray] | None = None

    def load(self) -> tuple[Tensor, Tensor, Tensor]:
        """(before, truth, after), each `3 h w` RGB in [0, 1].

        Raises:
            TweenError: if one cannot be read or has another size.
        """
        found = arrays((self.before, self.truth, self.after))
        same_size(self.name, found)
        h, w = found[0].shape[:2]
        if self.size and (w, h) != self.size:
            raise TweenError(
                f"{file_of(self.before)} should have {self.size[0]}x{self.size[1]} pixels, but has {w}x{h}; "
                f"download the original"
            )
        before, truth, after = (as_frame(self.fit(a) if self.fit else a) for a in found)
        return before, truth, after


def as_frame(picture: np.ndarray) -> Tensor:
    """`h w 3` uint8 to `3 h w` in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255


def read(root: Path) -> Sequence[Triplet]:
    """Every folder below `root` that holds im1, im2 and im3 of any picture type, in the order of their names.

    Raises:
        TweenError: if there is none, or one lacks a picture.
    """
    return [
        Triplet(s.relative_to(root).as_posix(), *(picture(s, stem) for stem in ("im1", "im2", "im3")))
        for s in folders(root)
    ]


def folders(root: Path) -> list[Path]:
    """Those below `root` that hold an im1."""
    scenes = sorted({p.parent for p in files_below(root) if p.stem == "im1"})
    if not scenes:
        raise TweenError(
            f"{root} should hold folders with im1, im2 and im3, but has none; give the folder that does"
        )
    return scenes


def check(root: Path) -> Check:
    """Whether every scene has its three pictures."""
    groups = [
        [next(iter(sorted(scene.glob(f"im{i}.*"))), scene / f"im{i}.png") for i in (1, 2, 3)]
        for scene in folders(root)
    ]
    return tally(root, "scenes", groups)


def picture(folder: Path, stem: str) -> Path:
    """The picture called `stem` in `folder`, whatever its type."""
    for suffix in PICTURES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise TweenError(f"{folder} should hold a picture {stem} ({' '.join(PICTURES)}), but does not")


def demand(root: Path, what: str, pictures: Iterable[Picture]) -> None:
    """That the files of all `pictures` are there.

    Raises:
        TweenError: naming the first that are missing and how many there are in all.
    """
    files = list(dict.fromkeys(map(file_of, pictures)))
    if not root.is_dir():
        raise TweenError(f"{root} should be a folder with {what}, but is not there")
    missing = [f for f in files if not f.is_file()]
    if missing:
        some = ", ".join(f.relative_to(root).as_posix() for f in missing[:3])
        raise TweenError(
            f"{root} should hold {what}, but {len(missing)} of {len(files)} pictures are missing: {some}"
            + (" ..." if len(missing) > 3 else "")
        )
