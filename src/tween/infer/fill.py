"""Known frames in, frames at every tick out. Knows `Filler`, knows no model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from tween.core import Filler, Frame, TweenError
from tween.infer.plan import Gap, Marked

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
    """A frame for every tick. Source frames pass through as the objects they are; others have `source=False`.

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
            yield from _shown(gap, {time: _still(gap, time) for time in times})
        else:
            made = hand.fill(gap, times)
            yield from _shown(gap, dict(zip(times, made, strict=True)))


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


def pinned(marked: Iterable[Marked]) -> Iterator[Marked]:
    """The same with pixels in page-locked memory, from which a GPU takes them several times faster."""
    for item in marked:
        yield replace(item, frame=replace(item.frame, rgb=item.frame.rgb.pin_memory()))


def _to_host(made: Tensor) -> Tensor:
    if made.device.type != "cuda":
        return made.cpu()
    return torch.empty(made.shape, dtype=made.dtype, pin_memory=True).copy_(made)


def _shown(gap: Gap, made: dict[Fraction, Tensor]) -> Iterator[Frame]:
    for tick in gap.ticks:
        if tick.t:
            yield Frame(time=tick.time, rgb=made[tick.time], source=False)
        elif tick.time == gap.left.time:
            yield gap.left
        else:
            yield replace(gap.left, time=tick.time, source=False)


def _still(gap: Gap, time: Fraction) -> Tensor:
    if gap.how != "blend":
        return gap.left.rgb
    return gap.left.rgb.lerp(gap.right.rgb, float((time - gap.left.time) / (gap.right.time - gap.left.time)))


class _Hand:
    """The filler in use with its state, and the frames that lie on the device already."""

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
        self.there: list[tuple[Frame, Tensor]] = []

    def fill(self, gap: Gap, times: list[Fraction]) -> Sequence[Tensor]:
        """One made picture `c h w` a time; steps down and tries again while memory runs out."""
        while True:
            try:
                return self._fill(gap, times)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                message = (str(error).splitlines() or ["MemoryError"])[0]
            self._step_down(message)

    def _fill(self, gap: Gap, times: list[Fraction]) -> Sequence[Tensor]:
        self.there = [(frame, self._upload(frame)) for frame in gap.known]
        frames = torch.stack([pixels for _, pixels in self.there])[None]
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
            return _to_host(as_given(made.float().clamp(0, 1), frames))[0]

    def _upload(self, frame: Frame) -> Tensor:
        for known, pixels in self.there:
            if known is frame:
                return pixels
        return frame.rgb.to(self.device, non_blocking=True)

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


def _out_of_memory(error: BaseException) -> bool:
    """CUDA's allocator has an error of its own; the CPU's, cuDNN and cuBLAS only say it."""
    words = ("can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        word in str(error) for word in words
    )
