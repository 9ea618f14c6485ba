"""Clips of one size and length, all of them in memory, from a folder with shots.csv: what a storyboard's frames in
between are learned from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.clips import Shot, read_shots
from tween.video.bulk import decode


def squares(
    folder: Path, *, t: int = 17, side: int = 64, stride: int = 8, workers: int = 8, hold_out: int = 0
) -> tuple[Tensor, Tensor]:
    """Clips `n t 3 side side` uint8, and the shot of each `n`.

    Frames are shrunk by area; of each a square is kept: the middle one, and where there is room one at either end.

    Args:
        stride: frames between the beginnings of clips of one shot.
        hold_out: of so many shots the last is left out; negative: those alone are taken. 0: all are.

    Raises:
        TweenError: if no shot is long enough.
    """
    shots = [s for s in read_shots(folder / "shots.csv") if s.count >= t and (folder / s.file).is_file()]
    if hold_out:
        every = abs(hold_out)
        shots = [s for i, s in enumerate(shots) if (i % every == every - 1) == (hold_out < 0)]
    if not shots:
        raise TweenError(
            f"{folder} should have shots of {t} frames or more in shots.csv, but has none; take shorter clips"
        )
    files = sorted({s.file for s in shots})
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda file: _of_file(folder / file, file, shots, t, side, stride), files))
    clips = np.concatenate([clips for clips, _ in found])
    return torch.from_numpy(clips).movedim(-1, 2), torch.from_numpy(
        np.concatenate([shot for _, shot in found])
    )


def _of_file(
    path: Path, file: str, shots: list[Shot], t: int, side: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    frames, found, which = decode(path, side), [], []
    room = [n - side for n in frames.shape[1:3]]
    for number, shot in enumerate(shots):
        if shot.file != file:
            continue
        last = min(shot.start + shot.count, len(frames)) - t
        for at in range(shot.start, last + 1, stride):
            for share in (0.0, 0.5, 1.0) if max(room) >= side // 2 else (0.5,):
                y, x = (round(share * r) for r in room)
                found.append(frames[at : at + t, y : y + side, x : x + side])
                which.append(number)
    empty = np.empty((0, t, side, side, 3), np.uint8)
    return np.stack(found) if found else empty, np.asarray(which, np.int64)
