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
) -> Iterator[Frame]:
    """A frame for every tick. Source frames pass through as the objects they are; others have `source=False`.

    All ticks of a gap go to the filler in one call. Its state follows from gap to gap, so that what it computed
    for the shared frame is used again; after a cut, a copied gap or an empty one it begins anew.

    Args:
        gaps: of `plan.gaps`, made for this filler's `past` and `future`.
        fallbacks: on out-of-memory, (what is done about it, how to get the filler that does it), tried in order
            at the same gap; the first that fits is kept.
        on: is told of each step down.

    Raises:
        TweenError: out of memory, and no fallback is left.
    """
    hand = _Hand(filler, list(fallbacks), device, seed, on)
    for gap in gaps:
        times = [tick.time for tick in gap.ticks if tick.t]
        if not times or gap.how != "fill":
            hand.forget()
            yield from _shown(gap, {time: _still(gap, time) for time in times})
        else:
            made = hand.fill(gap, times)
            yield from _shown(gap, dict(zip(times, made, strict=True)))


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

    def __init__(self, filler, fallbacks, device, seed, on) -> None:
        self.filler, self.fallbacks, self.device, self.seed, self.on = filler, fallbacks, device, seed, on
        self.forget()

    def forget(self) -> None:
        self.state, self.upto, self.uploaded = None, None, {}

    def fill(self, gap: Gap, times: list[Fraction]) -> Sequence[Tensor]:
        while True:
            try:
                return self._fill(gap, times)
            except torch.OutOfMemoryError as error:
                message = str(error).splitlines()[0]
            self._step_down(message)

    def _fill(self, gap: Gap, times: list[Fraction]) -> Sequence[Tensor]:
        self.uploaded = {id(f): self.uploaded.get(id(f)) for f in gap.known}
        for frame in gap.known:
            if self.uploaded[id(frame)] is None:
                self.uploaded[id(frame)] = frame.rgb.to(self.device, non_blocking=True)
        known = torch.stack([self.uploaded[id(frame)] for frame in gap.known])[None]
        alpha = known.shape[2] == 4
        if alpha:  # a filler knows RGB: alpha goes along as a second, grey clip
            known = torch.cat([known[:, :, :3], known[:, :, 3:].expand_as(known[:, :, :3])])
        with torch.inference_mode():
            if self.state is None or self.upto is not gap.left:
                b, _, c, h, w = known.shape
                self.state = self.filler.begin(
                    (b, c, h, w), seed=self.seed, device=self.device, dtype=known.dtype
                )
            state, self.state = self.state, None
            made, self.state = self.filler.fill(state, known, [f.time for f in gap.known], times)
            self.upto = gap.right
            made = _to_host(made.float().clamp(0, 1))
        return torch.cat([made[:1], made[1:].mean(2, keepdim=True)], 2)[0] if alpha else made[0]

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
