"""A folder of videos of any kind: three frames of one shot at their true t, never across a cut.

Cuts are looked for once and kept as `shots.csv` beside the videos; one that is there already is taken as it is.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from tween.core import TweenError
from tween.data.augment import augment, below, crop
from tween.data.check import tally
from tween.data.clips import Shot, read_shots
from tween.data.dataset import Check
from tween.data.pictures import FrameOf, files_below, stacked
from tween.data.source import Sample
from tween.data.triplets import Triplet, demand

VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv")
COLUMNS = ("file", "shot", "start_frame", "end_frame_excl", "mean_flow_px")
PIXELS, FARTHEST = 24.0, 12  # mean motion from frame 0 to frame 1, and frames between them, at most


def read(root: Path) -> Sequence[Triplet]:
    """Three frames in a row from the middle of each shot.

    Raises:
        TweenError: if there is no video, or one cannot be read.
    """
    from tween.video.pick import stamps

    found = []
    for shot in (s for s in shots(root) if s.count >= 3):
        number = shot.start + shot.count // 2
        first, middle, last = (int(stamp) for stamp in stamps(root / shot.file)[number - 1 : number + 2])
        frames = (FrameOf(root / shot.file, stamp) for stamp in (first, middle, last))
        found.append(Triplet(f"{shot.file}/{number}", *frames, t=Fraction(middle - first, last - first)))
    if not found:
        raise TweenError(
            f"{root} should hold videos with shots of three frames or more, but has none; add longer ones"
        )
    return found


def train(root: Path) -> Windows:
    """Triples of all shots.

    Raises:
        TweenError: as `read`.
    """
    return Windows.over(root, shots(root))


def check(root: Path) -> Check:
    """Whether there are videos, and all that `shots.csv` names, if it is there."""
    files = [[path] for path in videos(root)]
    if (root / "shots.csv").is_file():
        files = [[root / name] for name in dict.fromkeys(s.file for s in read_shots(root / "shots.csv"))]
        return tally(root / "shots.csv", "videos", files)
    found = tally(root, "videos", files)
    return replace(found, found=(*found.found, "no shots.csv yet: cuts are looked for at first use"))


@dataclass(frozen=True)
class Windows:
    """Every frame of every shot as the first of three, as a `Source`. How far apart they are is drawn, up to a mean
    motion of 24 pixels or 12 frames; half of the draws take the frame nearest to the middle.

    Attributes:
        begin: `shots`, samples in the shots before.
    """

    root: Path
    shots: tuple[Shot, ...]
    begin: np.ndarray

    @staticmethod
    def over(root: Path, shots: Sequence[Shot]) -> Windows:
        """Of those shots that hold three frames."""
        long = tuple(shot for shot in shots if shot.count >= 3)
        if not long:
            raise TweenError(
                f"{root} should hold videos with shots of three frames or more, but has none; add longer ones"
            )
        return Windows(root, long, np.cumsum([0, *(shot.count - 2 for shot in long)]))

    def __len__(self) -> int:
        return int(self.begin[-1])

    def name(self, index: int) -> str:
        """As `Source.name`."""
        shot, first = self.place(index)
        return f"{self.root / shot.file} at frame {first}"

    def place(self, index: int) -> tuple[Shot, int]:
        """The shot of a sample, and its first frame."""
        which = int(np.searchsorted(self.begin, index, side="right")) - 1
        return self.shots[which], self.shots[which].start + index - int(self.begin[which])

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Sample:
        """As `Source.draw`."""
        from tween.video.pick import stamps

        shot, first = self.place(index)
        reach = min(FARTHEST, max(2, int(PIXELS / max(shot.flow, 0.3))), shot.start + shot.count - 1 - first)
        span, middle = 2 + below(reach - 1, g), below(2, g)
        inside = 1 + below(span - 1, g)
        inside = span // 2 if middle else inside
        a, b, c = (int(stamps(self.root / shot.file)[first + i]) for i in (0, inside, span))
        frames = stacked(FrameOf(self.root / shot.file, stamp) for stamp in (a, b, c))
        return augment(crop(Sample(frames, (b - a) / (c - a)), size, g), g)


def videos(root: Path) -> list[Path]:
    """All below `root`.

    Raises:
        TweenError: if there is none.
    """
    found = [p for p in files_below(root) if p.suffix.lower() in VIDEOS and p.is_file()]
    if not found:
        raise TweenError(f"{root} should hold videos, but has none ({' '.join(VIDEOS)}); name their folder")
    return found


def shots(root: Path) -> list[Shot]:
    """Of all videos: read from `shots.csv`, or found and written there.

    Raises:
        TweenError: if a video is missing or cannot be read, or the list cannot be written.
    """
    if (root / "shots.csv").is_file():
        listed = read_shots(root / "shots.csv")
        demand(root, "the videos of shots.csv", (root / shot.file for shot in listed))
        return [_within(root, shot) for shot in listed]
    from tween.video.shots import find_shots

    paths = videos(root)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [
            Shot(file=path.relative_to(root).as_posix(), start=s.start, count=s.end - s.start, flow=s.flow)
            for path, those in zip(paths, pool.map(find_shots, paths), strict=True)
            for s in those
        ]
    _write(root / "shots.csv", found)
    return found


def clips(root: Path) -> list[Shot]:
    """As `shots`, but of a list that is there already those whose videos are, each as long as the list has it.

    Raises:
        TweenError: if there is no video.
    """
    if not (root / "shots.csv").is_file():
        return shots(root)
    found = [shot for shot in read_shots(root / "shots.csv") if (root / shot.file).exists()]
    if not found:
        raise TweenError(f"{root} should hold the clips that its shots.csv names, but none is there")
    return found


def _within(root: Path, shot: Shot) -> Shot:
    """A shot that ends where its video does: decoders differ by a frame or two at the end."""
    from tween.video.pick import stamps

    return replace(shot, count=min(shot.count, len(stamps(root / shot.file)) - shot.start))


def _write(path: Path, shots: Sequence[Shot]) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(COLUMNS)
            for number, s in enumerate(shots):
                out.writerow((s.file, number, s.start, s.start + s.count, f"{s.flow:.3f}"))
        part.rename(path)
    except OSError as error:
        raise TweenError(
            f"the cuts found are kept as {path}, but it cannot be written ({error.strerror}); "
            f"copy the videos to a folder of your own"
        ) from None
