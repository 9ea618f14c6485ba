"""Decode a video as frames with exact times, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av

from tween.core import TweenError
from tween.video.coded import Coded, Planes
from tween.video.images import ImageReader, is_images
from tween.video.info import VideoInfo, opened, pictures, probe_file


def probe(path: str | Path, *, rate: Fraction | None = None) -> VideoInfo:
    """What the video says about itself. `rate` is for image sequences, which have none of their own (25).

    Raises:
        TweenError: if there is no such file or it holds no video, or if it has a rate and `rate` is given.
    """
    if rate is not None and not is_images(path):
        raise TweenError(f"an input rate is for image sequences, but {path} has its own; leave it out")
    return ImageReader(path, rate=rate).info if is_images(path) else probe_file(path)


@contextmanager
def open_reader(
    path: str | Path,
    *,
    start: Fraction | None = None,
    stop: Fraction | None = None,
    rate: Fraction | None = None,
) -> Iterator[FileReader | ImageReader]:
    """Open a video for reading. Iterating the reader once yields frames, `Coded` ones, holding a few of them at most.

    The reader has `info`; `end`, the exact time when the last frame given so far ends; and `warnings`, sentences
    about what was mended on the way.

    Args:
        path: a video file, a GIF, a folder of images or a pattern such as `frames/%05d.png`.
        start, stop: seconds after the first frame; frames at or after `start` and before `stop` are given.
        rate: frames a second of an image sequence (25 where None).

    Raises:
        TweenError: if there is no such file, it holds no video, the part asked for is empty, or, while iterating,
            the file is damaged or ends before it says it does.
    """
    if start is not None and stop is not None and stop <= start:
        raise TweenError(f"the end should lie after the start, but got {float(start)} s to {float(stop)} s")
    if is_images(path):
        yield ImageReader(path, rate=rate, start=start, stop=stop)
        return
    info = probe_file(path)
    with opened(path) as container:
        yield FileReader(container, info, start, stop)


class FileReader:
    """Frames of an open video file in order of time, each as the decoder gave it."""

    def __init__(self, container, info: VideoInfo, start: Fraction | None, stop: Fraction | None) -> None:
        self.info, self.warnings = info, []
        self.end = info.start
        self._container, self._video = container, pictures(container)
        for stream in container.streams:
            if stream is not self._video:
                stream.discard = av.stream.Discard.all
        self._video.thread_type = "AUTO"
        self._from = info.start + start if start else None
        self._to = None if stop is None else info.start + stop

    def __iter__(self) -> Iterator[Coded]:
        last = None
        for time, frame in self._decoded():
            if last is not None and time <= last:
                self._warn("some frames came with times that do not increase; they were left out")
                continue
            if self._to is not None and time >= self._to:
                self.end = self._to
                return
            last, self.end = time, time + self._shown(frame)
            yield Coded(time=time, planes=self._planes(frame))
        self._check_whole(last)

    def _decoded(self) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        """Decoded frames with their times, from the wanted start on."""
        frames = self._timed()
        if self._from is None:
            yield from frames
            return
        self._container.seek(int(self._from / self._video.time_base), stream=self._video)
        first = next(frames, None)
        if first is None or first[0] > self._from:  # no index, or none before the start: go through all of it
            self._container.seek(int(self.info.start / self._video.time_base), stream=self._video)
            first, frames = None, self._timed()
        if first is not None and first[0] >= self._from:
            yield first
        yield from (pair for pair in frames if pair[0] >= self._from)

    def _timed(self) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        time = None
        try:
            for frame in self._container.decode(self._video):
                if frame.pts is not None:
                    time = frame.pts * frame.time_base
                elif time is None:
                    time = self.info.start
                else:
                    self._warn(
                        "some frames came without a time; they were set one frame after the one before"
                    )
                    time += 1 / self.info.rate
                yield time, frame
        except av.error.FFmpegError as error:
            at = "at its start" if time is None else f"after {float(time - self.info.start):.3f} s"
            raise TweenError(
                f"expected whole frames, but {self.info.path} is damaged {at} ({error.strerror}); "
                "repair it, or give an end before that with --to"
            ) from None

    def _planes(self, frame: av.VideoFrame) -> Planes:
        if (frame.width, frame.height) != (self.info.width, self.info.height):
            raise TweenError(
                f"expected frames of one size, but {self.info.path} changes from {self.info.width}x"
                f"{self.info.height} to {frame.width}x{frame.height}; split it there first"
            )
        return Planes.of(frame, self.info.colour, alpha=self.info.alpha)

    def _shown(self, frame: av.VideoFrame) -> Fraction:
        return frame.duration * frame.time_base if frame.duration else 1 / self.info.rate

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _check_whole(self, last: Fraction | None) -> None:
        if last is None:
            raise TweenError(f"expected frames in the part asked for, but {self.info.path} has none there")
        whole = self._stated_end()
        if whole is not None and self.end < min(whole, self._to or whole) - 4 / self.info.rate:
            raise TweenError(
                f"expected {float(whole - self.info.start):.3f} s of video, but {self.info.path} was cut short and "
                f"ends after {float(self.end - self.info.start):.3f} s; give that as --to to use what is there"
            )

    def _stated_end(self) -> Fraction | None:
        """Where the stream's header says that the pictures end. MP4 and Matroska say so; others let one guess."""
        video = self._video
        if "mp4" in self.info.container and video.duration:
            return ((video.start_time or 0) + video.duration) * video.time_base
        if "matroska" in self.info.container and (text := video.metadata.get("DURATION")):
            hours, minutes, seconds = text.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        return None
