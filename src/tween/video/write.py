"""Encode frames at exact times and carry the source's other streams along."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av

from tween.core import Frame, TweenError
from tween.video.coded import Drawn
from tween.video.convert import from_rgb
from tween.video.copying import Copier, copier, tags
from tween.video.encoding import Encoding, choose
from tween.video.errors import explained
from tween.video.gif import palettes
from tween.video.images import ImageWriter, is_images, is_one, place
from tween.video.info import VideoInfo, opened, pictures, shown_alike
from tween.video.planes import Layout

_RATE_IS_CLOCK = ("mpeg1video", "mpeg2video", "mpeg4")  # codecs that count in frames

_MOV = ("mp4", "mov", "ipod")


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
    time_base: Fraction | None = None,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    overwrite: bool = False,
) -> Iterator[VideoWriter | ImageWriter]:
    """Open a video for writing. It appears under its name only when the block ends without an error.

    The writer takes frames by `write(frame)`, or in two steps, of which the first is for any device:
    `write(draw(frame, device))`. Its `warnings` are sentences about what could not be kept.

    Args:
        path: the video to make; its suffix names the container. A pattern such as `out/%05d.png`, or a folder
            (a name without suffix, which gets `%06d.png`), makes an image sequence; the folder is made too.
        info: of the source: size, colour, rotation, aspect, tags.
        rate: frames a second of what is written.
        source: a file whose sound, subtitles, chapters, attachments and tags are copied.
        start, stop: the part of the source that is written, in seconds after its first frame, as for
            `open_reader`; with a `start` the output begins at 0.
        stretch: how many times slower the pictures are than the source's. Sound is left out unless it is 1.
        time_base: the unit of the written time stamps; None: the coarsest that holds `rate` and the first frame.
        codec, crf, preset, pix_fmt: of the encoder; chosen by container and source where None.
        overwrite: whether an existing file may be replaced.

    Raises:
        TweenError: if the file exists, is the source or cannot be written, if the container, codec or an option
            is unknown, if no frame was written, or if the disk is full. Nothing is left behind then.
    """
    path = _checked(Path(path), info, source, overwrite)
    if rate <= 0:
        raise TweenError(f"the output rate should be above 0 frames a second, but got {rate}")
    if is_images(path) or not path.suffix:
        with _images(path, info, rate, overwrite) as writer:
            yield writer
        return
    if source is not None and is_images(source):
        source = None  # images have nothing beside the pictures
    encoding = choose(path, info, codec=codec, crf=crf, preset=preset, pix_fmt=pix_fmt)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    begin = None if start is None else info.start + start
    origin = info.origin if begin is None else begin
    try:
        with ExitStack() as stack:
            container = stack.enter_context(_container(unfinished))
            stream = _stream(container, encoding, rate)
            others = None
            if source is not None and stretch == 1:
                end = None if stop is None else info.start + stop
                others = stack.enter_context(copier(source, container, start=begin, stop=end, origin=origin))
            writer = VideoWriter(container, stream, encoding, rate, origin, time_base, others)
            if source is not None and stretch != 1:
                container.metadata.update(tags(info.metadata))
                if left := _beside(source):
                    writer.warnings.append(f"left out, since it would not fit slowed pictures: {left}")
            if info.rotation and container.format.name not in (*_MOV, "matroska", "webm"):
                writer.warnings.append(
                    f"{container.format.name} cannot say that the picture is turned by {info.rotation} degrees; "
                    "it will lie on its side"
                )
            yield writer
            writer.finish()
        writer.warnings += _misshapen(unfinished, info)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class VideoWriter:
    """Encodes frames in order of time. `warnings` are sentences about what could not be kept."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        stream: av.VideoStream,
        encoding: Encoding,
        rate: Fraction,
        origin: Fraction,
        time_base: Fraction | None,
        others: Copier | None,
    ) -> None:
        self.warnings = [*encoding.warnings, *(others.warnings if others else ())]
        self._container, self._stream, self._encoding = container, stream, encoding
        self._rate, self._origin, self._time_base, self._others = rate, origin, time_base, others
        self._alpha = encoding.info.alpha and (encoding.codec == "gif" or Layout.of(encoding.pix_fmt).alpha)
        self._last: int | None = None
        self._prepare = (
            palettes(encoding.info, rate, self.warnings)
            if encoding.codec == "gif"
            else partial(from_rgb, pix_fmt=encoding.pix_fmt, colour=encoding.info.colour)
        )

    def draw(self, frame: Frame, device: Any = "cpu") -> Drawn:
        """A frame as the encoder takes it, converted on `device`. Frames are to be drawn in order of time."""
        rgb = frame.on(device)
        info = self._encoding.info
        if tuple(rgb.shape[-2:]) != (info.height, info.width):
            raise TweenError(
                f"expected frames of {info.width}x{info.height}, but got {rgb.shape[-1]}x{rgb.shape[-2]}"
            )
        if len(rgb) == 4 and not self._alpha:
            rgb = rgb[:3] * rgb[3:]
        return Drawn(time=frame.time, source=frame.source, picture=self._prepare(rgb))

    def write(self, frame: Frame | Drawn) -> None:
        """Encode one frame, shown from `frame.time` (source seconds) on."""
        drawn = frame if isinstance(frame, Drawn) else self.draw(frame)
        with explained(f"{self._encoding.codec} in {self._container.format.name}"):
            if self._last is None:
                clock = self._clock(frame.time - self._origin)
                self._stream.codec_context.time_base = clock
                if self._container.format.name in _MOV:  # its edit list would round the start to 1 ms
                    self._container.container_options["movie_timescale"] = str(clock.denominator)
            if self._others:
                self._others.advance(frame.time)
            self._mux(self._stream.encode(self._stamped(drawn)))

    def finish(self) -> None:
        """Flush the encoder, the copied streams and the file."""
        if self._last is None:
            raise TweenError("expected frames to write, but there were none; nothing was written")
        with explained(f"{self._encoding.codec} in {self._container.format.name}"):
            self._mux(self._stream.encode(None))
            if self._others:
                self._others.advance(None)
            self._container.close()

    def _stamped(self, frame: Drawn) -> av.VideoFrame:
        base = self._stream.codec_context.time_base
        stamp = round((frame.time - self._origin) / base)
        if self._last is not None and stamp <= self._last:
            raise TweenError(
                f"expected frames in order of time and further apart than {base} s, "
                f"but one at {float(frame.time):.6f} s does not follow the one before"
            )
        frame.picture.time_base, frame.picture.pts, self._last = base, stamp, stamp
        return frame.picture

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            packet.duration = packet.duration or round(1 / self._rate / packet.time_base)
            self._container.mux_one(packet)

    def _clock(self, first: Fraction) -> Fraction:
        """The unit of time stamps: a frame's duration if frames fall on its multiples, else finer."""
        if self._encoding.codec == "gif":
            return Fraction(1, 100)
        if self._encoding.codec in _RATE_IS_CLOCK or self._container.format.name == "avi":
            return 1 / self._rate
        if self._time_base is not None:
            return self._time_base
        finest = math.lcm(self._rate.numerator, first.denominator)
        whole = (first * self._rate).denominator == 1
        return 1 / self._rate if whole or finest >= 2**31 else Fraction(1, finest)


def _stream(container: av.container.OutputContainer, encoding: Encoding, rate: Fraction) -> av.VideoStream:
    """The encoder's stream with the source's geometry and colour tags."""
    info = encoding.info
    if max(rate.numerator, rate.denominator) >= 2**31:
        raise TweenError(f"expected a rate such as 60 or 60000/1001, but {rate} is too fine to be written")
    try:
        stream = container.add_stream(encoding.codec, rate=rate, options=dict(encoding.options))
    except ValueError:
        raise TweenError(
            f"{container.format.name} cannot hold {encoding.codec}; choose another suffix (.mp4, .mkv, .webm) or codec"
        ) from None
    stream.width, stream.height, stream.pix_fmt = info.width, info.height, encoding.pix_fmt
    context = stream.codec_context
    context.color_range, context.colorspace = info.colour.range, info.colour.matrix
    context.color_primaries, context.color_trc = info.colour.primaries, info.colour.transfer
    context.sample_aspect_ratio = info.sar
    if "hevc" in context.codec.canonical_name and container.format.name in _MOV:
        context.codec_tag = "hvc1"  # what Apple's players ask for
    if container.format.name == "avi":
        stream.options["bf"] = "0"  # its clock has no room for frames stored out of order
    if matrix := info.side_data.get("DISPLAYMATRIX"):
        stream.set_display_matrix(struct.unpack("9i", matrix))
    return stream


def _misshapen(path: Path, info: VideoInfo) -> list[str]:
    """What to say if the finished file does not tell the shape of its pixels: Matroska's own field cannot be set
    from here, so that it rests on the codec, and VP9, AV1, FFV1 and ProRes have none; MPEG-2 knows three shapes."""
    if shown_alike(info.sar, Fraction(1), info.width):
        return []
    with opened(path) as container:
        told = Fraction(pictures(container).sample_aspect_ratio or 1)
    if shown_alike(info.sar, told, info.width):
        return []
    return [
        f"the source's pixels are {float(info.sar):.4g} times as wide as high, but this file says {float(told):.4g}, "
        "so players will show it distorted; write .mp4, or another container with libx264"
    ]


def _beside(source: str | Path) -> str:
    """What a file has beside its pictures, in words."""
    with opened(source) as container:
        kinds = {"sound": container.streams.audio, "subtitles": container.streams.subtitles}
        found = [kind for kind, streams in kinds.items() if streams]
        return " and ".join([*found, *(["chapters"] if container.chapters() else [])])


@contextmanager
def _container(path: Path) -> Iterator[av.container.OutputContainer]:
    try:
        container = av.open(str(path), "w", format="mp4" if path.suffix.lower() == ".m4v" else None)
    except ValueError:
        raise TweenError(
            f"expected a video name such as out.mp4, out.mkv or out.webm, but no container is called {path.suffix}"
        ) from None
    try:
        yield container
    finally:
        with suppress(av.error.FFmpegError, OSError):  # a good file has been closed by `finish` before
            container.close()


@contextmanager
def _images(path: Path, info: VideoInfo, rate: Fraction, overwrite: bool) -> Iterator[ImageWriter]:
    writer = ImageWriter(path, info, rate, overwrite)
    if info.rotation:
        writer.warnings.append(f"the images are not turned, as the video is by {info.rotation} degrees")
    try:
        yield writer
        writer.finish()
    finally:
        writer.discard()


def _checked(path: Path, info: VideoInfo, source: str | Path | None, overwrite: bool) -> Path:
    """`path`, if it may be written."""
    if path.name in ("", "-"):
        raise TweenError(
            "expected the name of a file or folder to write, but got none; tween writes no pipes"
        )
    if is_one(path):
        numbered = path.with_name(f"{path.stem}_%05d{path.suffix}")
        raise TweenError(
            f"one image cannot hold a video, but {path} was asked for; write {numbered}, or a folder"
        )
    for other in filter(None, (source, info.path)):
        if path.exists() and Path(other).exists() and path.samefile(other):
            raise TweenError(f"the output {path} is the input itself; choose another name")
    if path.exists() and not overwrite and not (path.is_dir() and not any(path.iterdir())):
        raise TweenError(f"{path} exists already; choose another name or pass --overwrite")
    folder = place(path) if is_images(path) else path.parent
    if not folder.is_dir():
        raise TweenError(f"expected a folder to write {path.name} into, but there is no {folder}")
    if not os.access(folder, os.W_OK):
        raise TweenError(f"the folder {folder} cannot be written; choose another or change its rights")
    return path
