"""Layered synthetic motion as a training set: pieces of a folder's pictures move over one another (see
`tween.data.layers`), frame and flow exact at every t."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from tween.core import TweenError
from tween.data.check import tally
from tween.data.dataset import Check
from tween.data.layers import layer_triples
from tween.data.pictures import PICTURES, files_below, pixels
from tween.data.source import Sample
from tween.data.store import FrameStore

LINES = 540  # of a picture's shorter side, at most
EPOCH = 10_000  # samples; there is no end to them


@dataclass(frozen=True)
class Layered:
    """Motion drawn anew for every sample, as a `Source`. A sample's number says nothing, `g` all."""

    store: FrameStore

    def __len__(self) -> int:
        return EPOCH

    def name(self, index: int) -> str:
        """As `Source.name`."""
        return "layered motion"

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Sample:
        """As `Source.draw`, with flow."""
        made = layer_triples(self.store, 1, size, g)
        return Sample((made.frames[0] * 255).round().byte(), float(made.t[0]), made.flow[0])


def train(root: Path) -> Layered:
    """Of all pictures below `root`, at most 540 lines of each.

    Raises:
        TweenError: if there is none, or one cannot be read.
    """
    from tween.video.bulk import shrink

    pictures = [shrink(pixels(path), LINES)[None] for path in files(root)]
    return Layered(FrameStore.build(pictures, torch.device("cpu")))


def check(root: Path) -> Check:
    """How many pictures there are."""
    return tally(root, "pictures", [[path] for path in files(root)])


def files(root: Path) -> list[Path]:
    """All pictures below `root`.

    Raises:
        TweenError: if there is none.
    """
    found = [p for p in files_below(root) if p.suffix.lower() in PICTURES and p.is_file()]
    if not found:
        raise TweenError(
            f"{root} should hold pictures to cut layers from, but has none ({' '.join(PICTURES)})"
        )
    return found
