"""Encode frames at exact times and carry the source's other streams along."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av

from tween.core import Frame, TweenError
from tween.video.colour import from_rgb
from tween.video.info import VideoInfo


class Writer:
    """Takes frames in order of time. `warnings` are sentences about what could not be kept."""

    def __init__(self, container, stream, info: VideoInfo, origin: Fraction) -> None:
        self.container, self.stream, self.info, self.origin = container, stream, info, origin
        self.warnings: list[str] = []

    def write(self, frame: Frame) -> None:
        """Encode one frame, shown from `frame.time` on."""
        picture = from_rgb(frame.rgb, self.stream.pix_fmt, self.info.colour)
        picture.time_base = self.stream.codec_context.time_base
        picture.pts = round((frame.time - self.origin) / picture.time_base)
        self.container.mux(self.stream.encode(picture))


@contextmanager
def open_writer(
    path: str | Path,
    *,
    info: VideoInfo,
    rate: Fraction,
    source: str | Path | None = None,
    start: Fraction | None = None,
    stop: Fraction | None = None,
    stretch: Fraction = Fraction(1),
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    overwrite: bool = False,
) -> Iterator[Writer]:
    """Open a video for writing. It appears under its name only when the block ends without an error.

    Args:
        path: the video to make; its suffix names the container.
        info: of the source: size, colour, rotation, aspect, tags.
        rate: frames a second of what is written.
        source: a file whose sound, subtitles, chapters, attachments and tags are copied.
        start, stop: the part of the source that is written, seconds after its first frame, as for `open_reader`.
        stretch: how many times slower the pictures are than the source's.
        codec, crf, preset, pix_fmt: of the encoder; chosen by container and source where None.
        overwrite: whether an existing file may be replaced.

    Raises:
        TweenError: if the file exists, is the source, cannot be written, or its container or codec is unknown.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise TweenError(f"{path} exists already; choose another name or pass --overwrite")
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        with av.open(str(partial), "w") as container:
            stream = container.add_stream(codec or "libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = info.width, info.height, pix_fmt or info.pix_fmt
            stream.codec_context.time_base = 1 / rate
            writer = Writer(container, stream, info, info.origin + (info.start + start if start else 0))
            yield writer
            container.mux(stream.encode(None))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
