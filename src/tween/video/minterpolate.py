"""ffmpeg's `minterpolate` at its best setting, through PyAV's filter graph: what a user without a network has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import count, cycle
from typing import Any

import av
import torch
from av.filter import Graph
from torch import Tensor

SETTING = "mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"


def graph(width: int, height: int, *, fps: int, pix_fmt: str = "yuv420p", setting: str = SETTING) -> Graph:
    """A graph that doubles `fps`."""
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=pix_fmt, time_base=Fraction(1, fps))
    filter_ = graph.add("minterpolate", f"fps={2 * fps}:{setting}")
    sink = graph.add("buffersink")
    source.link_to(filter_)
    filter_.link_to(sink)
    graph.configure()
    return graph


def picture(frame: Tensor, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    """A frame `3 h w` in [0, 1] in ffmpeg's form."""
    data = (frame.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return av.VideoFrame.from_ndarray(data, format="rgb24").reformat(format=pix_fmt)


def push(graph: Graph, frame: av.VideoFrame, index: int, *, fps: int) -> Iterator[av.VideoFrame]:
    """Give frame number `index` to the graph; yield what comes out."""
    frame.pts, frame.time_base = index, Fraction(1, fps)
    graph.push(frame)
    yield from pull(graph)


def pull(graph: Graph) -> Iterator[av.VideoFrame]:
    """Every frame that is ready."""
    while True:
        try:
            yield graph.pull()
        except (BlockingIOError, EOFError):
            return


def middle(before: Tensor, after: Tensor) -> Tensor:
    """The frame halfway between two, all `3 h w` in [0, 1]. minterpolate looks at four frames, so both are given
    twice: around the pair nothing moves."""
    h, w = before.shape[-2:]
    g = graph(w, h, fps=25, pix_fmt="yuv444p", setting=SETTING + ":scd=none")
    out = []
    for index, frame in enumerate((before, before, after, after)):
        out += push(g, picture(frame, "yuv444p"), index, fps=25)
    g.push(None)
    out += pull(g)
    found = next(f for f in out if f.pts * f.time_base == Fraction(3, 50))
    return torch.from_numpy(found.to_ndarray(format="rgb24")).permute(2, 0, 1).float() / 255


def stepper(clip: Tensor, *, fps: int = 30) -> Callable[[], None]:
    """Its steady state on `clip` (`t 3 h w` in [0, 1], to and fro): a call gives it a frame and takes one new and one
    old frame from it."""
    h, w = clip.shape[-2:]
    doubling = graph(w, h, fps=fps)
    pictures = [picture(frame) for frame in clip]
    order = cycle([*range(len(clip)), *range(len(clip) - 2, 0, -1)])
    index = count()

    def step() -> None:
        for _ in push(doubling, pictures[next(order)], next(index), fps=fps):
            pass

    for _ in range(3):  # it looks ahead: from the fourth frame on every frame in gives two out
        step()
    return step


class Minterpolate:
    """minterpolate as a filler of middles, to be measured like the others."""

    past = future = multiple = 1
    bytes_per_pixel = 64.0

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> None:
        """Nothing is remembered."""

    def fill(
        self,
        state: None,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Any = None,
    ) -> tuple[Tensor, None]:
        """The frame halfway, whatever the time asked."""
        return torch.stack([middle(*pair) for pair in known.cpu()])[:, None], None
