"""X4K1000FPS (Sim et al., ICCV 2021): X-TRAIN, 4,408 clips of 65 frames of 768x768 from 110 scenes; X-TEST, 15 clips of
33 frames of 4096x2160, of which frames 4, 8 ... 28 are tested between frames 0 and 32.

<https://github.com/JihyongOh/XVFI>: `train/<scene>/<clip>/0000.png`, `test/Type{1,2,3}/<scene>/0000.png`; or, as it
ships, `encoded_train/<scene>/<clip>.mp4` and `encoded_test/Type{1,2,3}/<scene>.mp4`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import torch

from tween.core import TweenError
from tween.data.augment import augment, below, crop
from tween.data.check import home, tally
from tween.data.dataset import Check
from tween.data.pictures import FrameOf, Picture, stacked
from tween.data.source import Sample
from tween.data.triplets import Triplet, demand
from tween.data.xiph import halved

CLIPS, LENGTH, SIZE = 4_408, 65, (768, 768)
TESTS, TEST_LENGTH, TEST_SIZE = 15, 33, (4096, 2160)
STRIDES = range(8, 33)
KINDS = ("Type1", "Type2", "Type3")


def train(root: Path) -> Clips:
    """The clips of X-TRAIN.

    Raises:
        TweenError: if there is none.
    """
    return Clips(tuple(clips(split(root, "train"))))


def read(root: Path, kind: Literal["4k", "2k"]) -> Sequence[Triplet]:
    """X-TEST, seven frames of each clip at t = k/8, as it is or everything at half size.

    Raises:
        TweenError: if there is no clip, or a frame of one is missing.
    """
    place, fit = split(root, "test"), halved if kind == "2k" else None
    found = []
    for clip in test_clips(place):
        frames = pictures(clip, range(0, TEST_LENGTH, 4))
        name = clip.relative_to(place).as_posix().removesuffix(".mp4")
        found += [
            Triplet(f"{name}/{4 * k:04d}", frames[0], frames[k], frames[8], Fraction(k, 8), TEST_SIZE, fit)
            for k in range(1, 8)
        ]
    demand(place, "frames of X-TEST", (p for s in found for p in (s.before, s.truth, s.after)))
    return found


def check(root: Path) -> Check:
    """Whether all 4,408 clips of X-TRAIN are there, each with 65 frames."""
    place = split(root, "train")
    groups = [files(c, LENGTH) for c in clips(place)]
    return replace(tally(place, "training clips", groups, CLIPS, use="train on"), size=SIZE)


def check_test(root: Path) -> Check:
    """Whether all 15 clips of X-TEST are there, each with 33 frames."""
    place = split(root, "test")
    groups = [files(c, TEST_LENGTH) for c in test_clips(place)]
    return replace(tally(place, "test clips", groups, TESTS), size=TEST_SIZE)


@dataclass(frozen=True)
class Clips:
    """X-TRAIN as a `Source`: frames 8 to 32 apart, either way round, and one between them at its true t (an odd
    distance has no middle frame); half of the draws take the one nearest to the middle."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """As `Source.name`."""
        return str(self.paths[index])

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Sample:
        """As `Source.draw`."""
        stride = STRIDES[below(len(STRIDES), g)]
        start, inside, middle = below(LENGTH - stride, g), 1 + below(stride - 1, g), below(2, g)
        inside = stride // 2 if middle else inside
        frames = stacked(pictures(self.paths[index], (start, start + inside, start + stride)))
        return augment(crop(Sample(frames, inside / stride), size, g), g)


def split(root: Path, name: Literal["train", "test"]) -> Path:
    """The folder of X-TRAIN or X-TEST, decoded (`train`) or as it ships (`encoded_train`)."""
    for folder in (name, f"encoded_{name}"):
        if (root / folder).is_dir():
            return root / folder
    if root.name in (name, f"encoded_{name}") and root.is_dir():
        return root
    return home(root, (name,), "X4K1000FPS", ("X4K1000FPS",)) / name


def clips(place: Path) -> list[Path]:
    """Folders of frames two levels down (scene, clip), and .mp4 files.

    Raises:
        TweenError: if there is none.
    """
    files = [c for depth in ("*", "*/*", "*/*/*") for c in place.glob(f"{depth}.mp4")]
    full = {c.parent for c in files}
    found = sorted([c for c in place.glob("*/*") if c.is_dir() and c not in full] + files)
    if not found:
        raise TweenError(
            f"{place} should hold clips as <scene>/<clip>/0000.png or <scene>/<clip>.mp4, but holds none; "
            f"unpack X4K1000FPS again, its folders have two levels"
        )
    return found


def test_clips(place: Path) -> list[Path]:
    """The clips of the three types."""
    return [clip for clip in clips(place) if clip.suffix == ".mp4" or clip.parent.name in KINDS]


def pictures(clip: Path, numbers: Iterable[int]) -> list[Picture]:
    """Frames of a clip by their numbers.

    Raises:
        TweenError: if a video has fewer.
    """
    if clip.suffix != ".mp4":
        return [clip / f"{n:04d}.png" for n in numbers]
    from tween.video.pick import stamps

    times, numbers = stamps(clip), list(numbers)
    if max(numbers) >= len(times):
        raise TweenError(
            f"{clip} should have {max(numbers) + 1} frames or more, but has {len(times)}; copy it again"
        )
    return [FrameOf(clip, int(times[n])) for n in numbers]


def files(clip: Path, length: int) -> list[Path]:
    """What a clip of `length` frames lies in."""
    return [clip] if clip.suffix == ".mp4" else [clip / f"{n:04d}.png" for n in range(length)]
