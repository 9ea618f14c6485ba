"""A look before the work: what the source is, what would be done, what it would take."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from time import perf_counter
from typing import Any

import torch

from tween.core import Frame
from tween.infer.memory import peak
from tween.infer.pipeline import DEPTH, Request
from tween.infer.plan import MOST
from tween.infer.tile import Tiled
from tween.video import arrays, duplicates, interlace, scenes
from tween.video.info import VideoInfo
from tween.video.planes import Layout
from tween.video.read import open_reader

JITTER = Fraction(1, 20)  # of a frame; time stamps of constant-rate files are rounded to milliseconds
KEPT = 2 * DEPTH + scenes.FLASH + 2 * scenes.WINDOW + 8  # pictures that the stages hold, as planes
FLOATS = (
    DEPTH + MOST + 4
)  # pictures that wait to be shown, are made and seen; all of them on a GPU, if there is one


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `--dry-run` tells.

    Attributes:
        frames_in, frames_out: of the wanted part.
        fps_in, fps_out: a second; `variable` if the source's frames are not evenly spaced.
        cuts: seconds at which a scene starts.
        duplicates: the pattern, see `duplicates.pattern`; `repeated` of the frames repeat the one before.
        interlacing: None for progressive video, else what it is; `run_first` is the FFmpeg filter for it.
        memory: bytes, estimated, of the network's work on `device` and of frames in main memory.
        seconds: of work, estimated from a pair of frames filled; encoding goes on meanwhile and is not counted.
    """

    path: str
    width: int
    height: int
    frames_in: int
    frames_out: int
    fps_in: Fraction
    fps_out: Fraction
    variable: bool
    cuts: tuple[Fraction, ...]
    duplicates: str
    repeated: int
    interlacing: str | None
    run_first: str | None
    device: str
    tiles: int
    memory: dict[str, int]
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass
class _Seen:
    times: list[Fraction] = field(default_factory=list)
    cuts: list[Fraction] = field(default_factory=list)
    repeats: list[bool] = field(default_factory=list)
    combed: list[bool | None] = field(default_factory=list)
    moving: tuple[Frame, Frame] | None = None


def look(request: Request, info: VideoInfo, filler: Tiled, device: Any) -> Report:
    """Decode all that is wanted once, detect, fill one pair for the estimate; nothing is written.

    Raises:
        TweenError: as `open_reader`.
    """
    begun = perf_counter()
    with open_reader(request.path, start=request.start, stop=request.stop, rate=request.input_rate) as reader:
        seen = _watch(reader)
        end, warnings = reader.end, tuple(reader.warnings)
    read = perf_counter() - begun
    frames_out = -int(-(end - seen.times[0]) * request.stretch * request.fps // 1)
    to_fill = max(0, frames_out - _untouched(seen.times, request, info.time_base))
    found = interlace.verdict(seen.combed, tagged=info.interlaced)
    tiles = filler.tiles(filler.up(info.height), filler.up(info.width))
    return Report(
        path=str(request.path),
        width=info.width,
        height=info.height,
        frames_in=len(seen.times),
        frames_out=frames_out,
        fps_in=info.rate,
        fps_out=request.fps,
        variable=_variable(seen.times),
        cuts=tuple(seen.cuts),
        duplicates=duplicates.pattern(list(duplicates.runs(seen.repeats))),
        repeated=sum(seen.repeats),
        interlacing=found and found[0],
        run_first=found and found[1],
        device=str(device),
        tiles=len(tiles),
        memory={
            "network": peak(filler, info.height, info.width),
            "frames": _frames(info, device),
        },
        seconds=read + to_fill * _seconds_a_frame(filler, seen.moving, device),
        warnings=warnings,
    )


def _frames(info: VideoInfo, device: Any) -> int:
    """Bytes in main memory of the frames that are held there at once."""
    layout, pixels = Layout.of(info.pix_fmt), info.width * info.height
    chroma = 0 if layout.grey else 2 / (layout.steps[0] * layout.steps[1])
    planes = (1 + chroma + info.alpha) * (1 if info.bits <= 8 else 2)
    floats = 0 if arrays.by_torch(device) else FLOATS * (3 + info.alpha) * 4
    return int(pixels * (KEPT * planes + floats))


def _watch(frames: Iterable[Frame]) -> _Seen:
    seen = _Seen()
    before = None
    for frame, change in duplicates.mark(_note(scenes.cuts(frames), seen)):
        seen.times.append(frame.time)
        seen.repeats.append(change is not None and change.duplicate)
        seen.combed.append(None if before is None else interlace.combed(before.rgb, frame.rgb))
        if before is not None and seen.moving is None and not seen.repeats[-1]:
            seen.moving = before, frame
        before = frame
    return seen


def _note(found: Iterator[tuple[Frame, bool]], seen: _Seen) -> Iterator[Frame]:
    for frame, cut in found:
        if cut:
            seen.cuts.append(frame.time)
        yield frame


def _untouched(times: list[Fraction], request: Request, unit: Fraction) -> int:
    """How many frames are on a tick, as near as time stamps of this unit tell; as `pipeline.Placed` sees it."""
    scale = request.stretch * request.fps
    ticks = [(time - times[0]) * scale for time in times]
    return sum(abs(tick - round(tick)) <= unit * scale / 2 for tick in ticks)


def _variable(times: list[Fraction]) -> bool:
    gaps = [b - a for a, b in itertools.pairwise(times)]
    if not gaps:
        return False
    mean = sum(gaps) / len(gaps)
    return any(abs(gap - mean) > max(mean * JITTER, Fraction(1, 900)) for gap in gaps)


def _seconds_a_frame(filler: Tiled, pair: tuple[Frame, Frame] | None, device: Any) -> float:
    """Of a second fill, when kernels are loaded and memory is taken; 0 where nothing moves."""
    if pair is None:
        return 0.0
    known = torch.stack([frame.rgb[:3].to(device) for frame in pair])[None]
    middle = (pair[0].time + pair[1].time) / 2
    times = [frame.time for frame in pair]
    took = 0.0
    with torch.inference_mode():
        for _ in range(2):
            begun = perf_counter()
            state = filler.begin((1, 3, *known.shape[-2:]), seed=0, device=device, dtype=known.dtype)
            made, _ = filler.fill(state, known, times, [middle])
            made.cpu()
            took = perf_counter() - begun
    return took
