"""A video file in, its frames at the wanted rate out: decoding, filling and encoding at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from tween.core import Filler, Frame
from tween.infer.fill import Fallback, Note, fill, pinned
from tween.infer.overlap import Meter, ahead
from tween.infer.plan import Scene, gaps, mark
from tween.video import duplicates
from tween.video.images import ImageReader
from tween.video.read import FileReader, open_reader
from tween.video.write import open_writer

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
    """

    path: str | Path
    fps: Fraction
    stretch: Fraction = Fraction(1)
    start: Fraction | None = None
    stop: Fraction | None = None
    scene: Scene = "hold"
    retime: bool = False


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
        rates: stage -> frames a second it did while it worked: decode (with detection), infer, encode.
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


class Slowed:
    """The frames of a reader with their times `stretch` times as far from the first one."""

    def __init__(self, reader: Reader, stretch: Fraction) -> None:
        self.reader, self.stretch = reader, stretch
        self.first: Fraction | None = None

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.reader:
            self.first = frame.time if self.first is None else self.first
            yield replace(frame, time=self._at(frame.time))

    @property
    def end(self) -> Fraction:
        """When the last frame ends; exact once all frames have been read."""
        return self._at(self.reader.end)

    def _at(self, time: Fraction) -> Fraction:
        return self.first + (time - self.first) * self.stretch


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
    """The open reader and the frames of `request`, decoded in a thread of its own; leave the block to stop it.

    Raises:
        TweenError: as `open_reader` and `fill`.
    """
    with open_reader(request.path, start=request.start, stop=request.stop) as reader:
        source = Slowed(reader, request.stretch)
        frames = duplicates.retime(source) if request.retime else source
        found = mark(frames, scene=request.scene)
        if torch.device(device).type == "cuda":
            found = pinned(found)
        with ahead(found, DEPTH, meter) as marked:
            between = gaps(
                marked,
                request.fps,
                end=lambda: source.end,
                scene=request.scene,
                past=filler.past,
                future=filler.future,
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
        ahead(made, DEPTH, infer) as frames,
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
