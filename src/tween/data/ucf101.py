"""UCF101 as interpolation papers test on it (Liu et al., ICCV 2017): 379 triplets of 256x256, `ucf101_interp_ours`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tween.core import TweenError
from tween.data.check import home, tally
from tween.data.dataset import Check
from tween.data.triplets import Triplet, demand

COUNT = 379
NAMES = ("frame_00.png", "frame_01_gt.png", "frame_02.png")
SIZE = (256, 256)


def read(root: Path) -> Sequence[Triplet]:
    """All triplets of `root` (or of `root`/ucf101_interp_ours), in the order of their numbers.

    The published folders are numbered 1 to 379. A copy with other numbers is read as it is, if it has 379 of them.

    Raises:
        TweenError: if there are not 379 numbered folders, or one of them lacks a picture.
    """
    found = folders(root)
    demand(root, "numbered folders of UCF101", (f / n for f in found for n in NAMES))
    if len(found) != COUNT:
        raise TweenError(
            f"{root} should hold {COUNT} numbered folders of UCF101, but has {len(found)}: "
            f"a mean over fewer is not the papers' number; download the set again"
        )
    return [Triplet(f.name, *(f / n for n in NAMES), size=SIZE) for f in found]


def check(root: Path) -> Check:
    """Whether all 379 triplets are there."""
    found = tally(root, "numbered folders", [[f / n for n in NAMES] for f in folders(root)], COUNT)
    return replace(found, size=SIZE)


def folders(root: Path) -> list[Path]:
    """The numbered folders, in order.

    Raises:
        TweenError: if there is none, saying where they seem to be.
    """
    found = numbered(root / "ucf101_interp_ours") or numbered(root)
    return found or numbered(home(root, (f"1/{NAMES[0]}",), "UCF101", ("ucf101_interp_ours",)))


def numbered(place: Path) -> list[Path]:
    """The folders in `place` that are called by a number, in order."""
    found = (p for p in place.glob("*") if p.is_dir() and p.name.isdigit())
    return sorted(found, key=lambda p: int(p.name))
