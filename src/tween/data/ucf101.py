"""UCF101 as interpolation papers test on it (Liu et al., ICCV 2017): 379 triplets of 256x256, `ucf101_interp_ours`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tween.core import TweenError
from tween.data.triplets import Triplet, demand

COUNT = 379
NAMES = ("frame_00.png", "frame_01_gt.png", "frame_02.png")


def read(root: Path) -> Sequence[Triplet]:
    """All triplets of `root` (or of `root`/ucf101_interp_ours), in the order of their numbers.

    The published folders are numbered 1 to 379. A copy with other numbers is read as it is, if it has 379 of them.

    Raises:
        TweenError: if there are not 379 numbered folders, or one of them lacks a picture.
    """
    root = root / "ucf101_interp_ours" if (root / "ucf101_interp_ours").is_dir() else root
    folders = [p.name for p in root.iterdir() if p.is_dir() and p.name.isdigit()] if root.is_dir() else []
    demand(root, "numbered folders of UCF101", (f"{f}/{n}" for f in folders for n in NAMES))
    if len(folders) != COUNT:
        raise TweenError(
            f"{root} should hold {COUNT} numbered folders of UCF101, but has {len(folders)}: "
            f"a mean over fewer is not the papers' number; download the set again"
        )
    return [Triplet(f, *(root / f / n for n in NAMES)) for f in sorted(folders, key=int)]
