"""SNU-FILM (Choi et al., AAAI 2020): four levels of motion, 310 triplets each; and SNU-FILM-arb (Guo et al., NeurIPS
2024), every frame between the ends of the same lists.

<https://myungsub.github.io/CAIN>: `test/...` and `test-{easy,medium,hard,extreme}.txt`, whose lines name three pictures
by paths that begin with `data/SNU-FILM/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from tween.core import TweenError
from tween.data.check import home, lines, tally
from tween.data.dataset import Check
from tween.data.triplets import Triplet, demand

COUNT = 310
BETWEEN = {"medium": 4, "hard": 8, "extreme": 16}
"""Frames from one end to the other, in SNU-FILM-arb."""


def read(root: Path, level: str) -> Sequence[Triplet]:
    """The triplets of a level: easy, medium, hard or extreme.

    Raises:
        TweenError: if the list or a picture it names is missing.
    """
    place, found = listed(root, level)
    return present(place, level, [Triplet(name_of(place, truth), a, truth, b) for a, truth, b in found])


def read_arb(root: Path, level: str) -> Sequence[Triplet]:
    """Every frame between the ends of a level's triplets, at its t: medium 3 of each, hard 7, extreme 15.

    Raises:
        TweenError: as `read`, or if the ends lie otherwise apart.
    """
    place, found = listed(root, level)
    return present(place, level, [s for ends in found for s in inside(place, *ends, BETWEEN[level])])


def check(root: Path, level: str) -> Check:
    """Whether all 310 triplets of a level are there."""
    place, found = listed(root, level)
    return tally(place / f"test-{level}.txt", f"{level} triplets", found, COUNT)


def check_arb(root: Path, level: str) -> Check:
    """Whether every frame between the ends of all 310 triplets of a level is there."""
    place, found = listed(root, level)
    groups = [[ends[0], *(s.truth for s in inside(place, *ends, BETWEEN[level])), ends[2]] for ends in found]
    return tally(place / f"test-{level}.txt", f"{level} runs of {BETWEEN[level] + 1} frames", groups, COUNT)


def inside(place: Path, before: Path, _: Path, after: Path, steps: int) -> list[Triplet]:
    """The frames between two numbered ones."""
    begin, end = number(before), number(after)
    if end - begin != steps:
        raise TweenError(
            f"{after} should lie {steps} frames after {before.name}, but lies {end - begin}; download the lists again"
        )
    truths = [before.with_name(f"{begin + k:0{len(before.stem)}d}{before.suffix}") for k in range(1, steps)]
    return [
        Triplet(
            f"{name_of(place, truth)} of {before.stem}-{after.stem}", before, truth, after, Fraction(k, steps)
        )
        for k, truth in enumerate(truths, 1)
    ]


def number(path: Path) -> int:
    """Of a frame."""
    if not path.stem.isdigit():
        raise TweenError(f"{path} should be called by its number; download SNU-FILM again")
    return int(path.stem)


def name_of(place: Path, path: Path) -> str:
    """Of a picture's scene, as tables show it."""
    return path.relative_to(place).with_suffix("").as_posix()


def listed(root: Path, level: str) -> tuple[Path, list[tuple[Path, Path, Path]]]:
    """The set's folder and the three pictures of each line of a level's list."""
    name = f"test-{level}.txt"
    place = home(root, ("test", name), "SNU-FILM", ("SNU-FILM",))
    found = []
    for line in lines(place / name):
        words = line.split()
        if len(words) != 3:
            raise TweenError(
                f"{place / name} should have three paths in each line, but has {line!r}; download it again"
            )
        found.append(tuple(place / word.removeprefix("./").removeprefix("data/SNU-FILM/") for word in words))
    if not found:
        raise TweenError(f"{place / name} should name pictures, but is empty; copy it again")
    return place, found


def present(place: Path, level: str, scenes: list[Triplet]) -> list[Triplet]:
    """`scenes`, all of whose pictures are there."""
    demand(
        place, f"the pictures of test-{level}.txt", (p for s in scenes for p in (s.before, s.truth, s.after))
    )
    return scenes
