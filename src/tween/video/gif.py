"""Frames for GIF: 256 colours, chosen anew for every frame, and what its clock of 1/100 s can hold."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
import av.filter
from torch import Tensor

from tween.core import TweenError
from tween.video.colour import FULL, Colour
from tween.video.convert import from_rgb
from tween.video.info import VideoInfo

_FASTEST = 50  # players slow down delays below 2/100 s


def palettes(info: VideoInfo, rate: Fraction, warnings: list[str]) -> Callable[[Tensor], av.VideoFrame]:
    """A function from RGB(A) `c h w` to a paletted frame. Sentences about the timing are added to `warnings`.

    Raises:
        TweenError: if the rate is above 100 frames a second.
    """
    if rate > 100:
        raise TweenError(
            f"a GIF holds at most 100 frames a second, but {float(rate):g} were asked for; use --fps 50"
        )
    if rate > _FASTEST:
        warnings.append(
            f"most players show a GIF of {float(rate):g} frames a second too slowly; --fps 50 is safe"
        )
    elif (100 / rate).denominator != 1:
        warnings.append(
            f"GIF counts in 1/100 s, so delays at {float(rate):g} frames a second vary by 1/100 s"
        )
    pix_fmt = "rgba" if info.alpha else "rgb24"
    graph = _graph(info, pix_fmt)

    def paletted(rgb: Tensor) -> av.VideoFrame:
        frame = from_rgb(rgb, pix_fmt, Colour(range=FULL))
        frame.pts = None
        graph.push(frame)
        return graph.pull()

    return paletted


def _graph(info: VideoInfo, pix_fmt: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=info.width, height=info.height, format=pix_fmt, time_base=Fraction(1, 100)
    )
    split = graph.add("split")
    choose = graph.add("palettegen", f"stats_mode=single:reserve_transparent={int(info.alpha)}")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(choose, 1, 0)
    choose.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
