"""Decode a video as frames with exact times, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av

from tween.core import Frame, TweenError
from tween.video.colour import Colour, to_rgb
from tween.video.info import VideoInfo


def probe(path: str | Path, *, rate: Fraction | None = None) -> VideoInfo:
    """What the video says about itself. `rate` is for image sequences, which have none of their own (default 25).

    Raises:
        TweenError: if there is no such file or it holds no video.
    """
    with open_reader(path, rate=rate) as reader:
        return reader.info


class Reader:
    """Frames in order of time; iterate once. `info` is what the file says, `end` when the last frame ends.

    `end` is exact once the frames are exhausted. `warnings` are sentences about what was mended on the way.
    """

    def __init__(self, container, info: VideoInfo, start: Fraction | None, stop: Fraction | None) -> None:
        self.container, self.info, self.start, self.stop = container, info, start, stop
        self.end = info.start
        self.warnings: list[str] = []

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.container.decode(video=0):
            time = frame.pts * frame.time_base
            if self.start is not None and time < self.info.start + self.start:
                continue
            if self.stop is not None and time >= self.info.start + self.stop:
                return
            self.end = time + (frame.duration * frame.time_base or 1 / self.info.rate)
            yield Frame(time=time, rgb=to_rgb(frame, self.info.colour))


@contextmanager
def open_reader(
    path: str | Path,
    *,
    start: Fraction | None = None,
    stop: Fraction | None = None,
    rate: Fraction | None = None,
) -> Iterator[Reader]:
    """Open a video for reading; iterating the reader yields `Frame`s with at most a few of them in memory.

    Args:
        path: a video file, a GIF, a folder of images or a pattern such as `frames/%05d.png`.
        start, stop: seconds after the first frame; frames at or after `start` and before `stop` are given.
        rate: frames a second of an image sequence (default 25).

    Raises:
        TweenError: if there is no such file or it holds no video.
    """
    if not Path(path).exists():
        raise TweenError(f"expected a video to read, but there is no file {path}")
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise TweenError(f"expected a video, but {path} cannot be opened: {error.strerror}") from None
    with container:
        if not container.streams.video:
            raise TweenError(f"expected a video, but {path} holds no picture stream")
        yield Reader(container, _info(str(path), container), start, stop)


def _info(path: str, container) -> VideoInfo:
    video = container.streams.video[0]
    context = video.codec_context
    duration = container.duration and Fraction(container.duration, av.time_base)
    return VideoInfo(
        path=path,
        width=context.width,
        height=context.height,
        rate=video.average_rate or video.guessed_rate or Fraction(25),
        time_base=video.time_base,
        start=(video.start_time or 0) * video.time_base,
        duration=duration,
        frames=video.frames or None,
        codec=context.name,
        pix_fmt=context.pix_fmt,
        bits=context.format.components[0].bits,
        colour=Colour(
            range=context.color_range,
            matrix=context.colorspace,
            primaries=context.color_primaries,
            transfer=context.color_trc,
        ),
        sar=Fraction(video.sample_aspect_ratio or 1),
        container=container.format.name,
        metadata=dict(container.metadata),
    )
