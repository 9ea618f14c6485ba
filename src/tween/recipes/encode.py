"""A folder of videos as shards of latents, which refiners of clips are trained from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data import videos
from tween.data.latents import Clip
from tween.video.bulk import frames

Encode = Callable[[Tensor], Tensor]


class Said(NamedTuple):
    """Of every video, in the order of their names: an embedding `e` or `l e`, or None, and a prompt or nothing."""

    text: Sequence[Tensor | None]
    prompts: Sequence[str]


def said(paths: Sequence[Path], text: Path | None, prompts: Path | None) -> Said:
    """What an array `n e` or `n l e` in a .npy file and the lines of a text file say of n videos.

    Raises:
        TweenError: if one cannot be read, or has not one row for each.
    """
    rows = [None] * len(paths) if text is None else list(torch.from_numpy(_array(text)))
    lines = [""] * len(paths) if prompts is None else _lines(prompts)
    for path, found in ((text, rows), (prompts, lines)):
        if len(found) != len(paths):
            raise TweenError(
                f"{path} should say something of each of the {len(paths)} videos, in the order of their names, but has "
                f"{len(found)} rows"
            )
    return Said(rows, lines)


def clips(
    root: Path, encode: Encode, *, t: int, size: tuple[int, int], text: Path | None, prompts: Path | None
) -> Iterator[Clip]:
    """Latents of all clips of `t` frames in a row, with what is said of their video; none crosses a cut.

    Args:
        encode: `1 t 3 h w` in [0, 1] -> latents `1 n c h w`.
        size: height and width: frames are shrunk by area to cover it, and of each the middle is kept.

    Raises:
        TweenError: if there is no video, or one is smaller.
    """
    paths, shots = videos.videos(root), videos.shots(root)
    for path, embedding, prompt in zip(paths, *said(paths, text, prompts), strict=True):
        name = path.relative_to(root).as_posix()
        starts = {shot.start + i * t for shot in shots if shot.file == name for i in range(shot.count // t)}
        for clip in _cut(frames(path), starts, t) if starts else ():
            picked = torch.from_numpy(np.stack([covering(frame, size, path) for frame in clip]))
            latent = encode(picked.movedim(-1, 1)[None].float() / 255)[0]
            yield latent.half().cpu(), embedding, prompt


def _cut(found: Iterable[np.ndarray], starts: set[int], t: int) -> Iterator[list[np.ndarray]]:
    """The runs of `t` frames that begin at `starts`, which do not overlap; one that the video ends in is left out."""
    numbered = enumerate(found)
    for number, frame in numbered:
        if number in starts:
            clip = [frame, *(other for _, other in islice(numbered, t - 1))]
            if len(clip) == t:
                yield clip


def covering(frame: np.ndarray, size: tuple[int, int], path: Path) -> np.ndarray:
    """The middle of a frame `h w 3`, shrunk by area until it just covers `size`."""
    import cv2

    (h, w), (height, width) = frame.shape[:2], size
    factor = max(height / h, width / w)
    if factor > 1:
        raise TweenError(
            f"{path} has frames of {h}x{w}, which do not cover {height}x{width}; take a smaller --size"
        )
    small = cv2.resize(
        frame,
        (max(width, round(w * factor)), max(height, round(h * factor))),
        interpolation=cv2.INTER_AREA,
    )
    y, x = (small.shape[0] - height) // 2, (small.shape[1] - width) // 2
    return small[y : y + height, x : x + width]


def _array(path: Path) -> np.ndarray:
    try:
        found = np.load(path).astype(np.float32)
    except (OSError, ValueError) as error:
        raise TweenError(
            f"expected text embeddings (n, e) or (n, l, e) as a .npy array in {path}, but it cannot be read ({error})"
        ) from None
    if found.ndim not in (2, 3):
        raise TweenError(
            f"expected text embeddings (n, e) or (n, l, e) in {path}, but got an array of shape {found.shape}"
        )
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TweenError(
            f"expected a text file of prompts, a line a video, in {path}, but it cannot be read ({error})"
        ) from None
