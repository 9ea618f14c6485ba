"""A storyboard as files: pictures with their times, in a board.json or on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError, exact
from tween.video import images
from tween.video.info import VideoInfo

FPS = Fraction(24)
STATUS = {"given": True, "proposed": False}


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture of the board: its file, its time in seconds, and whether it must stay as it is (else a model that
    refines may change it)."""

    image: Path
    time: Fraction
    given: bool = True


@dataclass(frozen=True, kw_only=True)
class Board:
    """Pictures in order of time; `text` is the file of a text embedding."""

    shots: tuple[Shot, ...]
    fps: Fraction = FPS
    text: Path | None = None


def read_board(path: Path) -> Board:
    """The board of a JSON file; names in it are relative to its folder:

        {"fps": 24, "text": "prompt.npy", "frames": [
          {"image": "a.png", "time": 0},
          {"image": "b.png", "time": 1.5, "status": "proposed"}]}

    `fps` (24), `text` (none) and `status` (given) may be left out. Times are numbers, or text such as "1001/24000".

    Raises:
        TweenError: if it cannot be read, or says anything else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=str)
    except OSError:
        raise TweenError(f"expected a storyboard, but {path} cannot be read; check the name") from None
    except ValueError as error:
        raise TweenError(f"expected JSON in {path}, but it is none: {error}") from None
    _keys(data, {"frames"}, {"fps", "text"}, str(path))
    if not isinstance(data["frames"], list):
        raise TweenError(f"expected a list of frames in {path}, but got {type(data['frames']).__name__}")
    shots = [_shot(item, f"frame {i} of {path}", path.parent) for i, item in enumerate(data["frames"], 1)]
    text = data.get("text")
    return Board(
        shots=tuple(shots),
        fps=exact(data.get("fps", FPS), f"fps of {path}"),
        text=None if text is None else path.parent / _words(text, f"text of {path}"),
    )


def of_pictures(files: Sequence[Path], times: str | None, fps: Fraction) -> Board:
    """The board of pictures and their times, as `0,1,2.5`; all are given."""
    if times is None:
        raise TweenError("expected when each picture is shown, but got no times; pass --times 0,1,2.5")
    found = [exact(part, "a time of --times") for part in times.split(",")]
    if len(found) != len(files):
        raise TweenError(f"expected a time for each of {len(files)} pictures, but --times has {len(found)}")
    shots = [Shot(image=file, time=time) for file, time in zip(files, found, strict=True)]
    return Board(shots=tuple(shots), fps=fps)


def look(board: Board) -> VideoInfo:
    """What the clip of a board is like: its size, colour, depth and transparency. Every picture is read once.

    Raises:
        TweenError: if one cannot be read, or has another size than the first.
    """
    found: list[tuple[tuple[int, ...], bool]] = []
    for shot in board.shots:
        pixels = _pixels(shot)
        size = pixels.shape[:2]
        if found and size != found[0][0][:2]:
            h, w = found[0][0][:2]
            raise TweenError(
                f"expected pictures of one size, {w}x{h} as {board.shots[0].image}, but {shot.image} is "
                f"{size[1]}x{size[0]}; scale or crop it first"
            )
        found.append((pixels.shape, pixels.dtype == np.uint16))
    alpha, deep = any(shape[2] == 4 for shape, _ in found), any(deep for _, deep in found)
    info = images.ImageReader(board.shots[0].image, rate=board.fps).info
    form = f"gbr{'a' if alpha else ''}p{'16le' if deep else ''}"
    return replace(info, alpha=alpha, bits=16 if deep else 8, pix_fmt=form)


def picture(shot: Shot, info: VideoInfo) -> Tensor:
    """`c h w` in [0, 1]; opaque where others of the board are transparent."""
    pixels = _pixels(shot)
    rgb = pixels.astype(np.float32).transpose(2, 0, 1) / np.float32(np.iinfo(pixels.dtype).max)
    if info.alpha and len(rgb) == 3:
        rgb = np.concatenate([rgb, np.ones_like(rgb[:1])])
    return torch.from_numpy(np.ascontiguousarray(rgb))


def embedding(path: Path) -> Tensor:
    """A text embedding `l d` (or `d`) of a .npy file, fp32.

    Raises:
        TweenError: if it is no such file, or holds anything but finite numbers.
    """
    try:
        values = np.load(path, allow_pickle=False)
        found = torch.from_numpy(np.asarray(values, np.float32))
    except (OSError, ValueError, TypeError):
        raise TweenError(f"expected a text embedding as a .npy array of numbers, but got {path}") from None
    if found.ndim not in (1, 2) or not found.isfinite().all():
        raise TweenError(f"expected a text embedding of shape (l, d) or (d), but {path} is of {values.shape}")
    return found


def _pixels(shot: Shot) -> np.ndarray:
    try:
        return images.load(shot.image)
    except OSError:
        raise TweenError(
            f"expected a picture such as a PNG or JPEG, but {shot.image} cannot be read; check the name"
        ) from None


def _shot(item: Any, what: str, folder: Path) -> Shot:
    _keys(item, {"image", "time"}, {"status"}, what)
    status = item.get("status", "given")
    if status not in STATUS:
        raise TweenError(f"the status of {what} should be given or proposed, but is {status!r}")
    return Shot(
        image=folder / _words(item["image"], f"image of {what}"),
        time=exact(item["time"], f"time of {what}"),
        given=STATUS[status],
    )


def _words(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise TweenError(f"the {what} should be the name of a file, but is {value!r}")
    return value


def _keys(item: Any, needed: set[str], allowed: set[str], what: str) -> None:
    if not isinstance(item, dict) or not needed <= set(item) <= needed | allowed:
        has = ", ".join(sorted(item)) if isinstance(item, dict) else type(item).__name__
        raise TweenError(
            f"expected {' and '.join(sorted(needed))} in {what}, and besides at most "
            f"{' and '.join(sorted(allowed))}, but it has {has or 'nothing'}"
        )
