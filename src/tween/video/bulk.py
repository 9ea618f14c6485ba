"""Decode whole training clips to uint8 arrays on disk, many at once. OpenCV, since timing and colour tags do not
matter here; anything a user sees goes through read.py."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from glob import escape
from hashlib import sha1
from pathlib import Path

import numpy as np

from tween.core import TweenError

STILLS = (".jpg", ".jpeg", ".png", ".webp")
"""What `pack` takes for photos."""


def decode(path: Path, lines: int) -> np.ndarray:
    """All frames of `path` as `n h w 3` uint8 RGB, shrunk by area so that the shorter side is at most `lines`."""
    return np.ascontiguousarray(np.stack([shrink(frame, lines) for frame in frames(path)]))


def frames(path: Path) -> Iterator[np.ndarray]:
    """The frames of `path` one by one, `h w 3` uint8 RGB.

    Raises:
        TweenError: if there is none.
    """
    import cv2

    cv2.setNumThreads(1)
    video, some = cv2.VideoCapture(str(path)), False
    while True:
        ok, bgr = video.read()
        if not ok:
            break
        some = True
        yield bgr[..., ::-1]
    if not some:
        raise TweenError(f"{path} should be a video, but no frame could be decoded from it; check the file")


def shrink(picture: np.ndarray, lines: int) -> np.ndarray:
    """`h w 3`, by area so that the shorter side is at most `lines`."""
    import cv2

    factor = lines / min(picture.shape[:2])
    if factor >= 1:
        return picture
    height, width = (round(side * factor) for side in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def halve(frames: np.ndarray) -> np.ndarray:
    """`n h w 3` at half size, by area."""
    import cv2

    h, w = frames.shape[1] // 2, frames.shape[2] // 2
    return np.stack([cv2.resize(f, (w, h), interpolation=cv2.INTER_AREA) for f in frames])


def encode_picture(rgb: np.ndarray) -> bytes:
    """`h w 3` uint8 as a PNG that is quick to write."""
    import cv2

    return cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]), (cv2.IMWRITE_PNG_COMPRESSION, 1))[
        1
    ].tobytes()


def encode_jpeg(rgb: np.ndarray, quality: int) -> bytes:
    """`h w 3` uint8 as a JPEG whose colours are as sharp as its light (4:4:4)."""
    import cv2

    fine = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality, *fine))[1].tobytes()


def decode_picture(data: bytes) -> np.ndarray:
    """`h w 3` uint8 from the bytes of a picture.

    Raises:
        ValueError: if they are none.
    """
    import cv2

    cv2.setNumThreads(1)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        raise ValueError("no picture")
    return bgr[..., ::-1]


def pack(paths: list[Path], folder: Path, lines: int, workers: int) -> list[Path]:
    """Decode each path to `folder/NAME.npy` where that is missing; returns the array files in the order of `paths`.

    Photos are clips of one frame. A file appears only when it is whole.

    Raises:
        TweenError: if a path is neither a video nor a picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{path.parent.name}_{path.name}" for path in paths]
    twice = {name for name, count in Counter(names).items() if count > 1}  # in folders of the same name
    marks = [
        f"{sha1(str(p).encode()).hexdigest()[:8]}_" * (n in twice) for p, n in zip(paths, names, strict=True)
    ]
    targets = [folder / f"{mark}{name}.npy" for mark, name in zip(marks, names, strict=True)]
    todo = [(p, t, lines) for p, t in zip(paths, targets, strict=True) if not t.exists()]
    if todo:
        with ThreadPoolExecutor(workers) as pool:  # OpenCV lets go of the interpreter; a fork could hang
            list(pool.map(_pack_one, *zip(*todo, strict=True)))
    return targets


def _pack_one(path: Path, target: Path, lines: int) -> None:
    import cv2

    picture = cv2.imread(str(path)) if path.suffix.lower() in STILLS else None
    frames = decode(path, lines) if picture is None else shrink(picture, lines)[None, ..., ::-1]
    part = target.with_suffix(f".{os.getpid()}.part.npy")  # another process may be at it, too
    np.save(part, frames)
    with suppress(FileNotFoundError):  # then that one was first, and has put this away
        part.replace(target)
    for other in target.parent.glob(
        f"{escape(target.stem)}*.part.npy"
    ):  # late, or of a process that was lost
        other.unlink(missing_ok=True)
