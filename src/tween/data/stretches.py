"""Stretches of clips at the scale that users have them: squares cut from decoded films at full or half size."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.clips import Shot, read_shots
from tween.video.bulk import pack

ZOOMED = 0.5  # share of the stretches that are cut at half size


@dataclass(frozen=True, kw_only=True, eq=False)
class Films:
    """Decoded clips and their shots that are long enough.

    Attributes:
        arrays: file -> `n h w 3` uint8, a memory map.
    """

    arrays: dict[str, np.ndarray]
    shots: tuple[Shot, ...]


def films(
    folder: Path, packed: Path, *, t: int, lines: int = 540, hold_out: int = 0, workers: int = 8
) -> Films:
    """Of a folder with shots.csv, decoded to `packed` where that was not done yet.

    Args:
        hold_out: of so many shots the last is left out; negative: those alone are taken. 0: all are.

    Raises:
        TweenError: if no shot has `t` frames.
    """
    named = [s for s in read_shots(folder / "shots.csv") if (folder / s.file).is_file()]
    files = sorted({s.file for s in named})
    paths = pack([folder / f for f in files], packed, lines, workers)
    arrays = {f: np.load(p, mmap_mode="r") for f, p in zip(files, paths, strict=True)}
    shots = [replace(s, count=min(s.count, len(arrays[s.file]) - s.start)) for s in named]
    shots = [s for s in shots if s.count >= t]
    if hold_out:
        every = abs(hold_out)
        shots = [s for i, s in enumerate(shots) if (i % every == every - 1) == (hold_out < 0)]
    if not shots:
        raise TweenError(f"{folder} should have shots of {t} frames or more in shots.csv, but has too few")
    return Films(arrays=arrays, shots=tuple(shots))


def squares_of(found: Films, count: int, *, t: int, side: int, seed: int = 0, workers: int = 8) -> Tensor:
    """`count` stretches `n t 3 side side` uint8 from any place; shots that move little are drawn less."""
    rng = np.random.default_rng(seed)
    weight = np.array([s.count * min(max(s.flow, 0.3), 6.0) ** 0.5 for s in found.shots])
    shots = rng.choice(len(found.shots), count, p=weight / weight.sum())
    draws = rng.random((count, 4))
    with ThreadPoolExecutor(workers) as pool:
        made = list(
            pool.map(lambda i: _square(found, found.shots[shots[i]], t, side, draws[i]), range(count))
        )
    return torch.from_numpy(np.stack(made)).movedim(-1, 2)


def numbers(gap: int, longest: int) -> list[int]:
    """Frames of a stretch of 3 `longest` + 1 that a gap is filled from and of: an outer keyframe, the gap with its two,
    an outer one."""
    return [longest - gap, *range(longest, longest + gap + 1), longest + 2 * gap]


def middles(found: Films, *, t: int, size: tuple[int, int]) -> list[Tensor]:
    """The middle of every shot, `t 3 h w` uint8, at half size where there is room for it."""
    return [_middle(found, shot, t, size) for shot in found.shots]


def _square(found: Films, shot: Shot, t: int, side: int, draw: Sequence[float]) -> np.ndarray:
    film = found.arrays[shot.file]
    h, w = film.shape[1:3]
    fold = 2 if draw[0] < ZOOMED and min(h, w) >= 2 * side else 1
    start = shot.start + int(draw[1] * (shot.count - t + 1))
    return _cut(film, start, t, (side, side), fold, draw[2], draw[3])


def _middle(found: Films, shot: Shot, t: int, size: tuple[int, int]) -> Tensor:
    film = found.arrays[shot.file]
    fold = 2 if film.shape[1] >= 2 * size[0] and film.shape[2] >= 2 * size[1] else 1
    start = shot.start + (shot.count - t) // 2
    return torch.from_numpy(_cut(film, start, t, size, fold, 0.5, 0.5)).movedim(-1, 1)


def _cut(
    film: np.ndarray, start: int, t: int, size: tuple[int, int], fold: int, down: float, right: float
) -> np.ndarray:
    """`t h w 3`; the picture is mirrored where it is too small."""
    h, w = (n * fold for n in size)
    y, x = int(down * max(0, film.shape[1] - h)), int(right * max(0, film.shape[2] - w))
    part = np.asarray(film[start : start + t, y : y + h, x : x + w])
    room = h - part.shape[1], w - part.shape[2]
    if max(room):
        part = np.pad(part, ((0, 0), (0, room[0]), (0, room[1]), (0, 0)), mode="symmetric")
    if fold == 1:
        return np.ascontiguousarray(part)
    return part.reshape(t, size[0], fold, size[1], fold, 3).mean((2, 4)).round().astype(np.uint8)
