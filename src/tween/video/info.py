"""What a video file says about itself, without decoding it whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tween.video.colour import Colour


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
        duration: seconds; None where the container does not say.
        frames: how many, an estimate; None where unknown.
        bits: per colour component.
        alpha: whether frames carry a fourth, alpha channel.
        sar: width over height of one stored pixel.
        rotation: degrees counter-clockwise that a player turns the picture.
        interlaced: whether the first frame is coded as two fields.
        streams: one line a stream, for people.
        metadata: the container's tags.
    """

    path: str
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    start: Fraction
    origin: Fraction = Fraction(0)
    duration: Fraction | None = None
    frames: int | None = None
    codec: str
    pix_fmt: str
    bits: int
    alpha: bool = False
    colour: Colour = field(default_factory=Colour)
    sar: Fraction = Fraction(1)
    rotation: int = 0
    interlaced: bool = False
    container: str = ""
    streams: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
