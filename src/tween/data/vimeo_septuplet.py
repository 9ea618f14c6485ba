"""Vimeo-90K septuplets (Xue et al., IJCV 2019): 64,612 to train on and 7,824 to test on, seven frames of 448x256.

<http://toflow.csail.mit.edu/>: `sequences/<video>/<clip>/im{1..7}.png`, `sep_trainlist.txt`, `sep_testlist.txt`.
Tested on im1, im4 and im7, whose motion is three times that of a triplet: not comparable with "Vimeo90K" of papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tween.data.augment import augment, crop
from tween.data.dataset import Check
from tween.data.pictures import stacked
from tween.data.source import Sample
from tween.data.triplets import Triplet
from tween.data.vimeo import counted, listed, scenes

COUNTS = {"sep_trainlist.txt": 64_612, "sep_testlist.txt": 7_824}
FRAMES = range(1, 8)


def read(root: Path) -> Sequence[Triplet]:
    """The test scenes: im1, im4, im7.

    Raises:
        TweenError: if the list or a picture it names is missing.
    """
    return scenes(root, "sep_testlist.txt", (1, 4, 7))


def train(root: Path) -> Septuplets:
    """The training scenes.

    Raises:
        TweenError: if the list is missing.
    """
    return Septuplets(*listed(root, "sep_trainlist.txt"))


def check(root: Path) -> Check:
    """Whether all 64,612 and 7,824 septuplets are there."""
    return counted(root, COUNTS, FRAMES, "septuplets")


@dataclass(frozen=True)
class Septuplets:
    """Any three of the seven frames, in order or reversed, the middle one at its true t, as a `Source`; `halfway`: with
    as many frames before it as behind it."""

    sequences: Path
    names: tuple[str, ...]
    halfway: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """As `Source.name`."""
        return str(self.sequences / self.names[index])

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Sample:
        """As `Source.draw`."""
        first, middle, last = sorted(torch.randperm(7, generator=g)[:3].tolist())
        if self.halfway:
            reach = (last - first) // 2
            middle, last = first + reach, first + 2 * reach
        chosen = (FRAMES[i] for i in (first, middle, last))
        frames = stacked(self.sequences / self.names[index] / f"im{i}.png" for i in chosen)
        t = (middle - first) / (last - first)
        return augment(crop(Sample(frames, t), size, g), g)
