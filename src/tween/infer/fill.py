"""Known frames in, frames at every tick out. Knows `Filler`, knows no model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tween.core import Filler, Frame, TweenError, out_of_memory
from tween.infer.plan import Gap
from tween.video.coded import Coded

Fallback = tuple[str, Callable[[], Filler]]


@dataclass(frozen=True)
class Note:
    """A sentence for the user."""

    text: str


def fill(
    gaps: Iterable[Gap],
    filler: Filler,
    *,
    device: Any = "cpu",
    seed: int = 0,
    fallbacks: Sequence[Fallback] = (),
    on: Callable[[Note], None] = lambda note: None,
    cond: Any = None,
) -> Iterator[Frame]:
    """A frame for every tick. Source frames pass through as the objects they are; others have `source=False`, and what
    was made lies on `device`, see `on_host`. No more than one gap's pictures are kept there.

    All ticks of a gap go to the filler in one call. Its state follows from gap to gap, so that what it computed
    for the shared frame is used again; after a cut, a copied gap or an empty one it begins anew.

    Args:
        gaps: of `plan.gaps`, made for this filler's `past` and `future`.
        fallbacks: on out-of-memory, (what is done about it, how to get the filler that does it), tried in order
            at the same gap; the first that fits is kept.
        on: is told of each step down.
        cond: what the filler is told besides, at every call.

    Raises:
        TweenError: out of memory, and no fallback is left.
    """
    hand = _Hand(filler, list(fallbacks), device, seed, on, cond)
    for gap in gaps:
        times = [tick.time for tick in gap.ticks if tick.t]
        if not times or gap.how != "fill":
            hand.forget()
            yield from _shown(gap, partial(_still, gap, device=device))
        else:  # nothing here may hold what was made while the next gap is filled
            yield from _shown(gap, dict(zip(times, hand.fill(gap, times), strict=True)).pop)


def on_host(frame: Frame) -> Frame:
    """The same frame with its picture in main memory."""
    if isinstance(frame, Coded) or frame.rgb.device.type == "cpu":
        return frame
    pin = frame.rgb.is_cuda  # several times faster
    rgb = torch.empty(frame.rgb.shape, dtype=frame.rgb.dtype, pin_memory=pin).copy_(frame.rgb)
    return replace(frame, rgb=rgb)


def as_rgb(frames: Tensor) -> Tensor:
    """RGB clips `b' n 3 h w`, as fillers know them, of frames `b n c h w`: grey (c = 1) three times, and alpha
    (c = 4) as grey clips after the others, b' = 2 b."""
    if frames.shape[2] == 1:
        return frames.expand(-1, -1, 3, -1, -1)
    colour, alpha = frames[:, :, :3], frames[:, :, 3:]
    return torch.cat([colour, alpha.expand_as(colour)]) if alpha.shape[2] else frames


def as_given(made: Tensor, frames: Tensor) -> Tensor:
    """What was made from `as_rgb(frames)`, with the channels that `frames` have."""
    b, _, c = frames.shape[:3]
    if c == 4:
        return torch.cat([made[:b], made[b:].mean(2, keepdim=True)], 2)
    return made.mean(2, keepdim=True) if c == 1 else made


def _shown(gap: Gap, picture: Callable[[Fraction], Tensor | None]) -> Iterator[Frame]:
    """The frames of a gap; where there is no picture of a time, the left one is shown."""
    for tick in gap.ticks:
        if tick.t and (rgb := picture(tick.time)) is not None:
            yield Frame(time=tick.time, rgb=rgb, source=False)
        elif tick.time == gap.left.time:
            yield gap.left
        else:
            yield replace(gap.left, time=tick.time, source=False)


def _still(gap: Gap, time: Fraction, device: Any) -> Tensor | None:
    if gap.how != "blend":
        return None
    part = float((time - gap.left.time) / (gap.right.time - gap.left.time))
    return gap.left.on(device).lerp(gap.right.on(device), part)


class _Hand:
    """The filler in use with its state."""

    def __init__(
        self,
        filler: Filler,
        fallbacks: list[Fallback],
        device: Any,
        seed: int,
        on: Callable[[Note], None],
        cond: Any,
    ) -> None:
        self.filler, self.fallbacks, self.device, self.seed, self.on = filler, fallbacks, device, seed, on
        self.cond = cond
        self.forget()

    def forget(self) -> None:
        self.state: Any = None
        self.upto: Frame | None = None

    def fill(self, gap: Gap, times: list[Fraction]) -> Sequence[Tensor]:
        """One made picture `c h w` a time; steps down and tries again while memory runs out."""
        while True:
            try:
                return self._fill(gap, times)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                message = (str(error).splitlines() or ["MemoryError"])[0]
            self._step_down(message)

    def _fill(self, gap: Gap, times: list[Fraction]) -> Sequence[Tensor]:
        frames = torch.stack([frame.on(self.device) for frame in gap.known])[None]
        known = as_rgb(frames)
        with torch.inference_mode():
            if self.upto is not gap.left:
                b, _, c, h, w = known.shape
                self.state = self.filler.begin(
                    (b, c, h, w), seed=self.seed, device=self.device, dtype=known.dtype
                )
            state, self.state, self.upto = self.state, None, None
            known_t = [frame.time for frame in gap.known]
            made, self.state = self.filler.fill(state, known, known_t, times, self.cond)
            self.upto = gap.right
            return as_given(made.float().clamp(0, 1), frames)[0]

    def _step_down(self, message: str) -> None:
        self.forget()
        if not self.fallbacks:
            raise TweenError(
                f"memory ran out ({message}); pass a smaller --scale, a lower --precision or a smaller video"
            )
        sentence, build = self.fallbacks.pop(0)
        self.on(Note(f"Memory ran out: {sentence}; going on at the same frame."))
        self.filler = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.filler = build()
