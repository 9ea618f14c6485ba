"""Image sequences: a folder, or a numbered pattern such as `frames/%05d.png`, as if it were a video."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from tween.core import Frame, TweenError
from tween.video import arrays
from tween.video.coded import Coded, Drawn, Planes
from tween.video.colour import FULL, Colour
from tween.video.errors import explained
from tween.video.info import VideoInfo
from tween.video.planes import Layout

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
_NUMBER = re.compile(r"%0?(\d*)d")
_RATE = Fraction(25)


def is_images(path: str | Path) -> bool:
    """Whether `path` names an image sequence: a folder, a pattern such as `%d.png`, or a single still image."""
    path = Path(path)
    return path.is_dir() or path.suffix.lower() in SUFFIXES


def numbered(path: str | Path, number: int) -> Path:
    """The file of one frame: `%05d` in the name becomes the number."""
    path = Path(path)
    return path.with_name(_NUMBER.sub(lambda found: f"{number:0{found[1] or 1}d}", path.name))


def is_one(path: Path) -> bool:
    """Whether `path` names a single image, which holds no more than one frame."""
    return path.suffix.lower() in SUFFIXES and not _NUMBER.search(path.name) and not path.is_dir()


def place(path: Path) -> Path:
    """The folder that must be there to write `path`: its own, or the one around that, if its own is to be made."""
    return path.parent if path.parent.is_dir() else path.parent.parent


class ImageReader:
    """Frames of an image sequence. Times count from the number in the name: a gap in the numbers is a gap in time."""

    def __init__(
        self,
        path: str | Path,
        *,
        rate: Fraction | None = None,
        start: Fraction | None = None,
        stop: Fraction | None = None,
    ) -> None:
        self._rate = rate or _RATE
        if self._rate <= 0:
            raise TweenError(f"the rate of an image sequence should be above 0, but got {self._rate}")
        self.warnings: list[str] = []
        files = _files(path)
        self._files = [(number - files[0][0], file) for number, file in files]
        self._from, self._to = start or Fraction(0), stop
        self.end = Fraction(0)
        self.info = self._describe(str(path), load(files[0][1]))

    def __iter__(self) -> Iterator[Coded]:
        for number, file in self._files:
            time = number / self._rate
            if time < self._from:
                continue
            if self._to is not None and time >= self._to:
                self.end = self._to
                return
            self.end = time + 1 / self._rate
            yield Coded(time=time, planes=self._planes(file))
        if not self.end:
            raise TweenError(f"expected images in the part asked for, but {self.info.path} has none there")

    def _planes(self, file: Path) -> Planes:
        pixels = load(file)
        if pixels.shape[:2] != (self.info.height, self.info.width):
            raise TweenError(
                f"expected images of one size, {self.info.width}x{self.info.height}, but {file} is "
                f"{pixels.shape[1]}x{pixels.shape[0]}; scale or crop it first"
            )
        red, green, blue, *alpha = cv2.split(pixels)
        if self.info.alpha and not alpha:
            alpha = [np.full_like(red, np.iinfo(red.dtype).max)]
        planes = [green, blue, red, *(alpha if self.info.alpha else ())]
        return Planes(
            planes=tuple(torch.from_numpy(plane) for plane in planes),
            layout=Layout.of(("gbrap" if self.info.alpha else "gbrp") + ("16le" if red.itemsize > 1 else "")),
            colour=self.info.colour,
        )

    def _describe(self, path: str, first: np.ndarray) -> VideoInfo:
        span = self._files[-1][0] + 1
        missing = span - len(self._files)
        if missing:
            self.warnings.append(
                f"{missing} numbers are missing in {path}; each is a gap in time to be filled"
            )
        deep, alpha = first.dtype == np.uint16, first.shape[2] == 4
        pix_fmt = {
            (False, False): "gbrp",
            (False, True): "gbrap",
            (True, False): "gbrp16le",
            (True, True): "gbrap16le",
        }
        return VideoInfo(
            path=path,
            width=first.shape[1],
            height=first.shape[0],
            rate=self._rate,
            time_base=1 / self._rate,
            duration=span / self._rate,
            frames=len(self._files),
            codec=self._files[0][1].suffix.lower().lstrip("."),
            pix_fmt=pix_fmt[deep, alpha],
            bits=16 if deep else 8,
            alpha=alpha,
            colour=Colour(range=FULL, primaries=1, transfer=13, matrix=0),  # sRGB
            container="images",
            streams=(f"0 images {len(self._files)} {self._files[0][1].suffix} at {self._rate} a second",),
        )


class ImageWriter:
    """Writes frames as numbered images, in a hidden folder beside the target until all of them are there."""

    def __init__(self, path: Path, info: VideoInfo, rate: Fraction, overwrite: bool) -> None:
        self._target = path if _NUMBER.search(path.name) else path / "%06d.png"
        self._before = [file for _, file in matching(self._target)]
        if self._before and not overwrite:
            raise TweenError(f"{self._before[0]} exists already; choose another name or pass --overwrite")
        self._folder = place(path) / f".{path.stem.replace('%', '')}.{os.getpid()}.partial"
        self._folder.mkdir()
        self._bits, self._count = info.bits, 0
        self.warnings = [f"images hold no time and no sound; play them at {rate} frames a second"]

    def draw(self, frame: Frame, device: Any = "cpu") -> Drawn:
        """A frame as whole code values, converted on `device`."""
        picture = pixels(frame.on(device), self._target.suffix, self._bits)
        return Drawn(time=frame.time, source=frame.source, picture=picture)

    def write(self, frame: Frame | Drawn) -> None:
        """Write one frame under the next number, from 1 on."""
        self._count += 1
        drawn = frame if isinstance(frame, Drawn) else self.draw(frame)
        store(numbered(self._folder / self._target.name, self._count), drawn.picture)

    def finish(self) -> None:
        """Move the images to where they belong, in place of those of the same pattern that were there."""
        if not self._count:
            raise TweenError("expected frames to write, but there were none; nothing was written")
        for file in self._before:
            file.unlink()
        self._target.parent.mkdir(exist_ok=True)
        for file in sorted(self._folder.iterdir()):
            file.replace(self._target.parent / file.name)

    def discard(self) -> None:
        """Remove what was not moved."""
        shutil.rmtree(self._folder, ignore_errors=True)


def load(file: Path) -> np.ndarray:
    """One image as `h w c`, uint8 or uint16, RGB or RGBA; turned as its EXIF tag says.

    Raises:
        TweenError: if it cannot be read.
    """
    data = np.fromfile(file, np.uint8)
    jpeg = file.suffix.lower() in (".jpg", ".jpeg")
    flags = cv2.IMREAD_COLOR if jpeg else cv2.IMREAD_UNCHANGED
    pixels = cv2.imdecode(data, flags) if data.size else None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise TweenError(f"expected an image of 8 or 16 bits, but {file} cannot be read as one")
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def save(file: Path, rgb: Tensor, bits: int) -> None:
    """Write RGB(A) `c h w` in [0, 1]: 16 bits where the format is PNG or TIFF and `bits` > 8, else 8.

    WebP is lossless, JPEG of quality 95 and without alpha.

    Raises:
        TweenError: if the format is unknown or the disk is full.
    """
    store(file, pixels(rgb, file.suffix, bits))


def pixels(rgb: Tensor, suffix: str, bits: int) -> np.ndarray:
    """What `save` writes, `h w c` with blue first, uint8 or uint16."""
    deep = bits > 8 and suffix.lower() in (".png", ".tif", ".tiff")
    full = 65535 if deep else 255
    order = [2, 1, 0, 3][: 3 if suffix.lower() in (".jpg", ".jpeg", ".bmp") else len(rgb)]
    array = arrays.of(rgb)
    return np.stack(arrays.host([arrays.codes(array[c] * full, full) for c in order]), 2)


def store(file: Path, pixels: np.ndarray) -> None:
    """Write what `pixels` gave, as for `save`."""
    suffix = file.suffix.lower()
    quality = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95], ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101]}
    ok, data = cv2.imencode(suffix, pixels, quality.get(suffix.replace("jpeg", "jpg"), []))
    if not ok:
        raise TweenError(f"expected an image name such as %05d.png, but cannot write {file.name}")
    with explained(file.suffix):
        file.write_bytes(data)


def _files(path: str | Path) -> list[tuple[int, Path]]:
    """(number, file) in order. Files of a folder without numbers of their own count from 0."""
    path = Path(path)
    if path.is_dir():
        found = sorted(
            (f for f in path.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file()), key=_natural
        )
        if not found:
            raise TweenError(
                f"expected images ({', '.join(SUFFIXES)}) in the folder {path}, but it holds none"
            )
        return list(enumerate(found))
    if not _NUMBER.search(path.name):
        if not path.is_file():
            raise TweenError(f"expected an image to read, but there is no file {path}; check the name")
        return [(0, path)]
    found = matching(path)
    if not found:
        raise TweenError(f"expected images named like {path}, but there are none; check the pattern")
    return found


def matching(pattern: Path) -> list[tuple[int, Path]]:
    """(number, file) of every file that is named as the pattern says, in order."""
    before, digits, after = _NUMBER.split(pattern.name, maxsplit=1)
    name = re.compile(re.escape(before) + rf"(\d{{{digits or 1},}})" + re.escape(after))
    folder = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    return sorted((int(found[1]), file) for file in folder if (found := name.fullmatch(file.name)))


def _natural(file: Path) -> list:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", file.name)]
