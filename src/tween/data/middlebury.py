"""Middlebury OTHER with public truth (Baker et al., IJCV 2011): 12 triplets of differing sizes.

<https://vision.middlebury.edu/flow/data/>: unpack other-color-allframes.zip (other-data) and other-gt-interp.zip side
by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tween.data.check import home, tally
from tween.data.dataset import Check
from tween.data.triplets import Triplet, demand

FOLDERS = ("other-data", "other-gt-interp")
SCENES = (
    "Beanbags",
    "Dimetrodon",
    "DogDance",
    "Grove2",
    "Grove3",
    "Hydrangea",
    "MiniCooper",
    "RubberWhale",
    "Urban2",
    "Urban3",
    "Venus",
    "Walking",
)


def read(root: Path) -> Sequence[Triplet]:
    """The twelve scenes of `root`/other-data and `root`/other-gt-interp.

    Raises:
        TweenError: if one of the 36 pictures is missing.
    """
    place = home(root, FOLDERS, "Middlebury")
    demand(
        place, "other-data and other-gt-interp of Middlebury", (p for s in SCENES for p in paths(place, s))
    )
    return [Triplet(s, *paths(place, s)) for s in SCENES]


def check(root: Path) -> Check:
    """Whether all twelve scenes are there."""
    place = home(root, FOLDERS, "Middlebury")
    return tally(place, "scenes", [paths(place, s) for s in SCENES], len(SCENES))


def paths(root: Path, scene: str) -> tuple[Path, Path, Path]:
    """(before, truth, after) of a scene."""
    data, truth = (root / folder / scene for folder in FOLDERS)
    return data / "frame10.png", truth / "frame10i11.png", data / "frame11.png"
