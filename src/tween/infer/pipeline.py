"""A video file in, its frames at the wanted rate out: decoding, filling and encoding at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from tween.core import Filler, Frame
from tween.infer.fill import Fallback, Note, fill
from tween.infer.overlap import Meter, ahead
from tween.infer.plan import Marked, Scene, gaps, mark
from tween.video import arrays, duplicates
from tween.video.coded import Drawn
from tween.video.images import ImageReader, ImageWriter
from tween.video.read import FileReader, open_reader
from tween.video.write import VideoWriter, open_writer

Reader = FileReader | ImageReader
DEPTH = 4  # frames that wait between two stages


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is wanted of a source.

    Attributes:
        path: the video to read.
        fps: frames a second of what comes out.
        stretch: how many times slower it plays.
        start, stop: the part that is wanted, seconds after the first frame.
        scene: what to do at cuts: `hold` the last frame, `blend`, or `off`, take them for motion.
        retime: whether duplicate frames are removed and the motion spread over their time.
        input_rate: frames a second of an image sequence (25 where None).
    """

    path: str | Path
    fps: Fraction
    stretch: Fraction = Fraction(1)
    start: Fraction | None = None
    stop: Fraction | None = None
    scene: Scene = "hold"
    retime: bool = False
    input_rate: Fraction | None = None


@dataclass(frozen=True)
class Progress:
    """`frames` are written, up to `time` seconds after the first one."""

    frames: int
    time: Fraction


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a run went.

    Attributes:
        frames_in, frames_out, untouched: decoded, written, and decoded ones among the written.
        seconds: wall clock.
        rates: stage -> frames a second it did while it worked: decode (with detection), infer, encode. Colours
            are converted in the thread that needs it: on a GPU all in infer, else the source's in infer, the rest in
            encode.
        bottleneck: the stage that worked longest.
        warnings: what could not be kept, and what was mended.
    """

    frames_in: int
    frames_out: int
    untouched: int
    seconds: float
    rates: dict[str, float]
    bottleneck: str
    warnings: tuple[str, ...]


Event = Note | Progress


class Placed:
    """The frames of a reader at the times they are to be shown: `stretch` times as far from the first one.

    A time stamp is known to half a unit of the file's clock (1 ms in Matroska), so a frame that lies no farther
    than that from a tick is on it: else hardly a frame of a 30 fps Matroska file would be its own at 60 fps.
    """

    def __init__(self, reader: Reader, request: Request) -> None:
        self.reader, self.request = reader, request
        self.first: Fraction | None = None

    def __iter__(self) -> Iterator[Frame]:
        last = None
        for frame in self.reader:
            self.first = frame.time if self.first is None else self.first
            placed = self._at(frame.time)
            tick = self._on_tick(placed)
            last = tick if last is None or tick > last else placed  # frames one unit apart share no tick
            yield replace(frame, time=last)

    @property
    def end(self) -> Fraction:
        """When the last frame ends; exact once all frames have been read."""
        return self._on_tick(self._at(self.reader.end))

    def _at(self, time: Fraction) -> Fraction:
        return self.first + (time - self.first) * self.request.stretch

    def _on_tick(self, time: Fraction) -> Fraction:
        tick = self.first + round((time - self.first) * self.request.fps) / self.request.fps
        return tick if abs(tick - time) <= self.reader.info.time_base * self.request.stretch / 2 else time


def _pinned(marked: Iterable[Marked]) -> Iterator[Marked]:
    for item in marked:
        yield replace(item, frame=replace(item.frame, planes=item.frame.planes.pinned()))


def _drawn(
    frames: Iterable[Frame], writer: VideoWriter | ImageWriter, device: Any
) -> Iterable[Frame | Drawn]:
    """What waits for the encoder: of frames on a GPU, what it takes. Others it converts itself, in its own thread."""
    return map(partial(writer.draw, device=device), frames) if arrays.by_torch(device) else frames


@contextmanager
def filled(
    request: Request,
    filler: Filler,
    *,
    device: Any = "cpu",
    fallbacks: Sequence[Fallback] = (),
    on: Callable[[Event], None] = lambda event: None,
    meter: Meter | None = None,
) -> Iterator[tuple[Reader, Iterator[Frame]]]:
    """The open reader and the frames of `request` as `fill` gives them, decoded in a thread of its own; leave the block
    to stop it.

    Raises:
        TweenError: as `open_reader` and `fill`.
    """
    with open_reader(request.path, start=request.start, stop=request.stop, rate=request.input_rate) as reader:
        source = Placed(reader, request)
        frames = duplicates.retime(source) if request.retime else source
        found = mark(frames, scene=request.scene)
        if torch.device(device).type == "cuda":
            found = _pinned(found)
        with ahead(found, DEPTH, meter) as marked:
            between = gaps(
                marked,
                request.fps,
                end=lambda: source.end,
                scene=request.scene,
                past=filler.past,
                future=filler.future,
                most=getattr(filler, "most", None),
            )
            made = fill(between, filler, device=device, fallbacks=fallbacks, on=on)
            yield reader, made


def interpolate(
    request: Request,
    output: str | Path,
    filler: Filler,
    *,
    device: Any = "cpu",
    fallbacks: Sequence[Fallback] = (),
    on: Callable[[Event], None] = lambda event: None,
    **encoding: Any,
) -> Summary:
    """Write `request` to `output`, with the source's sound and other streams.

    Args:
        encoding: `codec`, `crf`, `preset`, `pix_fmt`, `overwrite`, as for `open_writer`.

    Raises:
        TweenError: whatever a stage raises; all stages are stopped, and no file stays under the name `output`.
    """
    decode, infer = Meter(), Meter()
    begun, count, untouched, encode = perf_counter(), 0, 0, 0.0
    with (
        filled(request, filler, device=device, fallbacks=fallbacks, on=on, meter=decode) as (reader, made),
        open_writer(
            output,
            info=reader.info,
            rate=request.fps,
            source=request.path,
            start=request.start,
            stop=request.stop,
            stretch=request.stretch,
            **encoding,
        ) as writer,
        ahead(_drawn(made, writer, device), DEPTH, infer) as frames,
    ):
        first = None
        for frame in frames:
            first = frame.time if first is None else first
            at = perf_counter()
            writer.write(frame)
            encode += perf_counter() - at
            count, untouched = count + 1, untouched + frame.source
            on(Progress(count, frame.time - first))
        ended = perf_counter()
    encode += perf_counter() - ended  # what the encoder held back, and the other streams
    busy = {"decode": decode.busy, "infer": infer.busy - decode.waited, "encode": encode}
    frames_of = {"decode": decode.count, "infer": count, "encode": count}
    return Summary(
        frames_in=decode.count,
        frames_out=count,
        untouched=untouched,
        seconds=perf_counter() - begun,
        rates={stage: frames_of[stage] / max(seconds, 1e-9) for stage, seconds in busy.items()},
        bottleneck=max(busy, key=busy.__getitem__),
        warnings=(*reader.warnings, *writer.warnings),
    )
