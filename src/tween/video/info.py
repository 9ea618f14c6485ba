"""What a video says about itself, from its headers and its first frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import av.logging
import numpy as np

from tween.core import TweenError
from tween.video.colour import Colour
from tween.video.planes import Layout

_CLOCK_STARTS_ANYWHERE = 0x200  # AVFMT_TS_DISCONT: MPEG-TS, MPEG-PS
_LOCATIONS = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
_SIDE_DATA = (
    "DISPLAYMATRIX",
    "MASTERING_DISPLAY_METADATA",
    "CONTENT_LIGHT_LEVEL",
    "DOVI_RPU_BUFFER",
    "DYNAMIC_HDR_PLUS",
)


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """A video's geometry, time and colour.

    Attributes:
        path: the file, folder or pattern that was probed.
        width, height: pixels as stored; players turn them by `rotation` and stretch them by `sar`.
        rate: average frames a second; an estimate for variable-rate files, never used for timing.
        time_base: the unit of the stream's own time stamps, in seconds.
        start: time of the first frame.
        origin: the time that becomes 0 in a copy: 0, or the start of the file for containers such as MPEG-TS
            whose clock starts anywhere.
        duration: seconds of pictures; None where the file does not say.
        frames: how many, an estimate; None where unknown.
        bits: per colour component.
        alpha: whether frames carry a fourth channel. A GIF counts only if its first frame has a hole.
        sar: width over height of one stored pixel.
        rotation: degrees counter-clockwise that a player turns the picture.
        interlaced: whether the first frame is coded as two fields.
        side_data: FFmpeg's bytes of the first frame's display matrix and HDR metadata, by name.
        streams: a line a stream, for people.
        metadata: the container's tags.
    """

    path: str
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    start: Fraction = Fraction(0)
    origin: Fraction = Fraction(0)
    duration: Fraction | None = None
    frames: int | None = None
    codec: str
    pix_fmt: str
    bits: int = 8
    alpha: bool = False
    colour: Colour = field(default_factory=Colour)
    sar: Fraction = Fraction(1)
    rotation: int = 0
    interlaced: bool = False
    side_data: Mapping[str, bytes] = field(default_factory=dict)
    container: str = ""
    streams: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


def shown_alike(a: Fraction, b: Fraction, width: int) -> bool:
    """Whether two pixel shapes show `width` pixels equally wide, to a pixel: Matroska rounds what it says to that."""
    return abs(a - b) * width <= 1


@contextmanager
def opened(path: str | Path) -> Iterator[av.container.InputContainer]:
    """A video file open for reading.

    Raises:
        TweenError: if there is no such file, or it is empty, or it is no video.
    """
    path = Path(path)
    if not path.is_file():
        raise TweenError(f"expected a video to read, but there is no file {path}; check the name")
    if not path.stat().st_size:
        raise TweenError(f"expected a video, but {path} is empty; copy or record it again")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TweenError(
            f"expected a video, but {path} cannot be read as one ({reason}); it may be cut short or damaged"
        ) from None
    with container:
        if container.format.name == "tty":  # FFmpeg draws text files as pictures of a terminal
            raise TweenError(f"expected a video, but {path} is a text file")
        yield container


def pictures(container: av.container.InputContainer) -> av.VideoStream:
    """The stream to work on: the first that is not cover art.

    Raises:
        TweenError: if there is none, or no decoder for it.
    """
    attached = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & attached]
    if not streams:
        kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise TweenError(f"expected a video, but {container.name} holds no pictures, only {kinds}")
    if streams[0].codec_context is None:
        raise TweenError(
            f"expected a known video codec, but {container.name} uses one without a decoder here"
        )
    return streams[0]


def probe_file(path: str | Path) -> VideoInfo:
    """What a video file says about itself. One frame is decoded.

    Raises:
        TweenError: if it is no video, or not one frame can be decoded.
    """
    with opened(path) as container:
        video = pictures(container)
        try:
            frame = next(container.decode(video), None)
        except av.error.FFmpegError as error:
            raise TweenError(f"expected a video, but {path} is damaged ({error.strerror})") from None
        if frame is None:
            raise TweenError(f"expected a video, but {path} holds no complete frame; it may be cut short")
        return _describe(str(path), container, video, frame)


def _describe(path: str, container, video: av.VideoStream, frame: av.VideoFrame) -> VideoInfo:
    layout = Layout.of(frame.format.name)
    duration = _duration(container, video)
    rate = video.average_rate or video.guessed_rate or Fraction(25)
    if container.format.name == "gif" and duration and video.frames:
        rate = video.frames / duration  # GIF states delays, no rate
    anywhere = container.format.flags & _CLOCK_STARTS_ANYWHERE
    start = (video.start_time or 0) * video.time_base if frame.pts is None else frame.pts * frame.time_base
    return VideoInfo(
        path=path,
        width=frame.width,
        height=frame.height,
        rate=rate,
        time_base=video.time_base,
        start=start,
        origin=Fraction(container.start_time or 0, av.time_base) if anywhere else Fraction(0),
        duration=duration,
        frames=video.frames or (round(duration * rate) if duration else None),
        codec=video.codec_context.name,
        pix_fmt=frame.format.name,
        bits=layout.bits,
        alpha=layout.alpha and not (container.format.name == "gif" and _opaque(frame)),
        colour=_colour(frame, video),
        sar=Fraction(video.sample_aspect_ratio or 1),
        rotation=frame.rotation,
        interlaced=frame.interlaced_frame or video.codec_context.field_order in (2, 3, 4, 5),
        side_data={x.type.name: bytes(x) for x in frame.side_data if x.type.name in _SIDE_DATA},
        container=container.format.name,
        streams=tuple(_line(stream) for stream in container.streams),
        metadata=dict(container.metadata),
    )


def _duration(container, video: av.VideoStream) -> Fraction | None:
    if video.duration:
        return video.duration * video.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _opaque(frame: av.VideoFrame) -> bool:
    return bool(np.all(frame.to_ndarray(format="rgba")[..., 3] == 255))


def _colour(frame: av.VideoFrame, video: av.VideoStream) -> Colour:
    return Colour(
        range=frame.color_range,
        matrix=frame.colorspace,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
        location=_chroma_location(frame, video),
    )


def _chroma_location(frame: av.VideoFrame, video: av.VideoStream) -> int:
    """Code of the frame's chroma siting. PyAV has no field for it; FFmpeg's showinfo filter prints it."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(template=video), graph.add("showinfo", "checksum=0"), graph.add("buffersink")
    ).configure()
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture(local=True) as lines:
            graph.push(frame)
            graph.pull()
    finally:
        av.logging.set_level(level)
    found = re.search(r" cl:(\w+)", "".join(line[2] for line in lines))
    return _LOCATIONS.index(found[1]) if found and found[1] in _LOCATIONS else 0


def _line(stream: av.stream.Stream) -> str:
    context = stream.codec_context
    name = context.name if context else getattr(stream, "name", None) or "unknown"
    more = {
        "video": lambda: f"{context.width}x{context.height} {context.pix_fmt}",
        "audio": lambda: f"{context.sample_rate} Hz {context.layout.name}",
    }.get(stream.type if context else "", str)()
    language = f"({stream.language})" if stream.language else ""
    return " ".join(filter(None, [f"{stream.index}", stream.type, name, more, language]))
