"""Middlebury OTHER with public truth (Baker et al., IJCV 2011): 12 triplets of differing sizes.

<https://vision.middlebury.edu/flow/data/>: unpack other-color-allframes.zip (other-data) and other-gt-interp.zip side
by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tween.data.triplets import Triplet, demand

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
    scenes = [Triplet(s, *(root / p for p in paths(s))) for s in SCENES]
    demand(root, "other-data and other-gt-interp of Middlebury", (p for s in SCENES for p in paths(s)))
    return scenes


def paths(scene: str) -> tuple[str, str, str]:
    """(before, truth, after) of a scene, relative to the set's folder."""
    return (
        f"other-data/{scene}/frame10.png",
        f"other-gt-interp/{scene}/frame10i11.png",
        f"other-data/{scene}/frame11.png",
    )
