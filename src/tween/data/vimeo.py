"""Vimeo-90K triplets (Xue et al., IJCV 2019): 51,313 to train on and 3,782 to test on, 448x256.

<http://toflow.csail.mit.edu/>: `sequences/<video>/<clip>/im{1,2,3}.png`, `tri_trainlist.txt`, `tri_testlist.txt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tween.core import TweenError
from tween.data.augment import augment, crop
from tween.data.check import home, lines, tally, together
from tween.data.dataset import Check
from tween.data.pictures import stacked
from tween.data.source import Sample
from tween.data.triplets import Triplet, demand

SIZE = (448, 256)
COUNTS = {"tri_trainlist.txt": 51_313, "tri_testlist.txt": 3_782}
FRAMES = (1, 2, 3)
FOLDERS = ("vimeo_triplet", "vimeo_septuplet")


def read(root: Path) -> Sequence[Triplet]:
    """The test scenes.

    Raises:
        TweenError: if the list or a picture it names is missing.
    """
    return scenes(root, "tri_testlist.txt", FRAMES)


def train(root: Path) -> Triplets:
    """The training scenes.

    Raises:
        TweenError: if the list is missing.
    """
    return Triplets(*listed(root, "tri_trainlist.txt"))


def check(root: Path) -> Check:
    """Whether all 51,313 and 3,782 triplets are there."""
    return counted(root, COUNTS, FRAMES, "triplets")


@dataclass(frozen=True)
class Triplets:
    """Scenes of a list, the middle frame at t = 1/2, as a `Source`."""

    sequences: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """As `Source.name`."""
        return str(self.sequences / self.names[index])

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Sample:
        """As `Source.draw`."""
        frames = stacked(self.sequences / self.names[index] / f"im{i}.png" for i in FRAMES)
        return augment(crop(Sample(frames, 0.5), size, g), g)


def listed(root: Path, name: str) -> tuple[Path, tuple[str, ...]]:
    """The folder `sequences` and the scenes of list `name`."""
    place = home(root, ("sequences", name), "Vimeo-90K", FOLDERS)
    return place / "sequences", tuple(lines(place / name))


def scenes(root: Path, name: str, frames: Sequence[int]) -> Sequence[Triplet]:
    """Test scenes of list `name`: the first, the middle and the last of `frames`."""
    sequences, names = listed(root, name)
    if not names:
        raise TweenError(f"{sequences.parent / name} should name scenes, but is empty; copy it again")
    found = [Triplet(n, *(sequences / n / f"im{i}.png" for i in frames), size=SIZE) for n in names]
    demand(sequences, f"the scenes of {name}", (p for s in found for p in (s.before, s.truth, s.after)))
    return found


def counted(root: Path, counts: dict[str, int], frames: Sequence[int], what: str) -> Check:
    """Whether the lists are as long as they should be and all that they name is there."""
    parts = []
    for name, count in counts.items():
        sequences, names = listed(root, name)
        groups = [[sequences / n / f"im{i}.png" for i in frames] for n in names]
        kind, use = ("training", "train on") if "train" in name else ("test", "validate on")
        parts.append(tally(sequences.parent / name, f"{kind} {what}", groups, count, use=use))
    return replace(together(*parts), size=SIZE)
