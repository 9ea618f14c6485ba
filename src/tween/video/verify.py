"""Is an output what it should be? Compares it with its source, frame by frame, holding two frames of each."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, log10
from pathlib import Path
from statistics import median

from tween.core import Frame
from tween.video import duplicates
from tween.video.info import VideoInfo, opened, shown_alike
from tween.video.read import open_reader

NEAR = Fraction(1, 1500)  # seconds; Matroska rounds times to milliseconds
ALIKE = 28.0  # dB PSNR a source frame keeps at least through an encoder at usual quality
# Brightness that must not come and go with the period of interpolation. The encoder alone leaves some: a real clip
# at variable rate measured 0.4 of 255 through x264's defaults, with blending as with a network.
RIPPLE = 0.5 / 255
FEW = 8  # frames at one place between source frames, at least, to speak of their brightness
KINDS = ("video", "audio", "subtitle", "attachment")  # a camera's own data streams fit into no other file
RGB = 0  # the matrix of a stream that has none
SYNC = Fraction(1, 20)  # seconds that sound may end or begin elsewhere


@dataclass(frozen=True)
class Check:
    """One thing that was checked: its name, whether it holds, and what was found."""

    name: str
    ok: bool
    found: str


def verify(
    source: str | Path,
    output: str | Path,
    *,
    stretch: Fraction = Fraction(1),
    start: Fraction | None = None,
    stop: Fraction | None = None,
    retime: bool = False,
    input_rate: Fraction | None = None,
    output_rate: Fraction | None = None,
) -> list[Check]:
    """Length, streams, colour tags, source frames that fall on ticks, and brightness ripple of `output`.

    Args:
        stretch: how many times slower the output plays; sound is not compared then.
        start, stop: the part of the source that was taken, seconds after its first frame.
        retime: whether duplicates were replaced by motion.
        input_rate, output_rate: frames a second of image sequences.

    Raises:
        TweenError: if one of the two cannot be read to its end.
    """
    with (
        open_reader(source, start=start, stop=stop, rate=input_rate) as a,
        open_reader(output, rate=output_rate) as b,
    ):
        seen = _compare(duplicates.retime(a) if retime else iter(a), iter(b), stretch)
        length = (a.end - seen.first_in) * stretch, b.end - seen.first_out
        checks = [_length(*length, b.info.rate), _tags(a.info, b.info), _picture(a.info, b.info)]
    checks += [_identity(seen), _ripple(seen)]
    if stretch == 1 and Path(source).is_file() and Path(output).is_file():
        checks.append(_streams(source, output))
        if start is None and stop is None:
            checks.append(_sound(source, output, seen.first_in, seen.first_out))
    return checks


@dataclass
class _Seen:
    first_in: Fraction = Fraction(0)
    first_out: Fraction = Fraction(0)
    psnr: list[float] = field(default_factory=list)
    brighter: dict[Fraction, list[float]] = field(default_factory=lambda: defaultdict(list))


def _compare(source: Iterator[Frame], output: Iterator[Frame], stretch: Fraction) -> _Seen:
    left, made = next(source), next(output)
    right = next(source, None)
    seen = _Seen(left.time, made.time)

    def at(frame: Frame) -> Fraction:
        return (frame.time - seen.first_in) * stretch

    while made is not None:
        time = made.time - seen.first_out
        while right is not None and at(right) <= time + NEAR:
            left, right = right, next(source, None)
        if abs(at(left) - time) <= NEAR:
            seen.psnr.append(_psnr(left, made))
            seen.brighter[Fraction(0)].append(_mean(made) - _mean(left))
        elif right is not None:
            t = (time - at(left)) / (at(right) - at(left))
            expected = (1 - float(t)) * _mean(left) + float(t) * _mean(right)
            seen.brighter[t.limit_denominator(100)].append(_mean(made) - expected)
        made = next(output, None)
    deque(source, 0)  # to its end, which is known only there
    return seen


def _mean(frame: Frame) -> float:
    return float(frame.rgb[:3].mean())


def _psnr(a: Frame, b: Frame) -> float:
    if a.rgb.shape[1:] != b.rgb.shape[1:]:
        return 0.0
    error = float((a.rgb[:3] - b.rgb[:3]).square().mean())
    return -10 * log10(error) if error else inf


def _length(source: Fraction, output: Fraction, rate: Fraction) -> Check:
    ok = abs(source - output) <= 1 / rate + NEAR
    return Check("length", ok, f"{float(source):.3f} s -> {float(output):.3f} s")


def _tags(a: VideoInfo, b: VideoInfo) -> Check:
    names = ["matrix", "primaries", "transfer"]
    if "420" in a.pix_fmt and "420" in b.pix_fmt:
        names.append("location")
    pairs = [(name, getattr(a.colour, name), getattr(b.colour, name)) for name in names]
    lost = [f"{name} {x} -> {y}" for name, x, y in pairs if x != y and x not in (0, 2)]
    anew = a.colour.matrix == RGB != b.colour.matrix  # RGB has all of the range, its YUV need not
    if not anew and (a.colour.range or 1) != (b.colour.range or 1):  # a silent stream is limited
        lost.append(f"range {a.colour.range} -> {b.colour.range}")
    return Check("colour tags", not lost, ", ".join(lost) or "kept")


def _picture(a: VideoInfo, b: VideoInfo) -> Check:
    names = ["width", "height", "rotation"]
    if not shown_alike(a.sar, b.sar, a.width):
        names.append("sar")
    lost = [f"{n} {getattr(a, n)} -> {getattr(b, n)}" for n in names if getattr(a, n) != getattr(b, n)]
    if b.bits < a.bits:
        lost.append(f"bits {a.bits} -> {b.bits}")
    return Check("picture", not lost, ", ".join(lost) or f"{b.width}x{b.height}, {b.bits} bit, kept")


def _identity(seen: _Seen) -> Check:
    if not seen.psnr:
        return Check("source frames", True, "none falls on a tick")
    worst = min(seen.psnr)
    found = (
        f"{len(seen.psnr)} at their ticks, PSNR at least {worst:.1f} dB, median {median(seen.psnr):.1f} dB"
    )
    return Check("source frames", worst >= ALIKE, found)


def _ripple(seen: _Seen) -> Check:
    levels = [median(values) for values in seen.brighter.values() if len(values) >= FEW]
    ripple = max(levels) - min(levels) if levels else 0.0
    return Check(
        "brightness", ripple < RIPPLE, f"ripple {ripple * 255:.2f} of 255 at the interpolation period"
    )


def _streams(source: str | Path, output: str | Path) -> Check:
    with opened(source) as a, opened(output) as b:
        before, after = (Counter(s.type for s in x.streams if s.type in KINDS) for x in (a, b))
    before["video"] = 1  # only the first picture stream is worked on
    lost = before - after
    return Check("streams", not lost, f"lost {dict(lost)}" if lost else f"{dict(after)}")


def _sound(source: str | Path, output: str | Path, first_in: Fraction, first_out: Fraction) -> Check:
    before, after = _spans(source, first_in), _spans(output, first_out)
    if not before:
        return Check("sound", True, "none")
    off = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=False) if None not in (*a, *b)]
    worst = max((abs(x) for pair in off for x in pair), default=Fraction(0))
    ok = len(after) >= len(before) and worst <= SYNC
    return Check(
        "sound", ok, f"{len(after)} of {len(before)} streams, at most {float(worst) * 1e3:.1f} ms off"
    )


def _spans(path: str | Path, first: Fraction) -> list[tuple[Fraction | None, Fraction | None]]:
    """When each sound stream begins and ends, in seconds after the first picture."""
    spans = {}
    with opened(path) as container:
        for stream in container.streams.audio:
            spans[stream.index] = (None, None)
        if not spans:
            return []
        for packet in container.demux(audio=tuple(range(len(spans)))):
            if packet.pts is not None:
                begin, end = spans[packet.stream.index]
                time = packet.pts * packet.time_base - first
                until = time + (packet.duration or 0) * packet.time_base
                begin = time if begin is None else min(begin, time)
                spans[packet.stream.index] = (begin, until if end is None else max(end, until))
    return list(spans.values())
