"""From a few pictures with times to a whole clip: each is shown at its time as it is, whatever fills in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from tween.core import Filler, Frame, TweenError
from tween.infer.fill import Fallback, Note, as_given, as_rgb, fill, on_host
from tween.infer.plan import Marked, gaps

CLOSE = Fraction(1, 100)  # of a frame: what a decimal such as 0.333 is off by, and nobody sees


@dataclass(frozen=True, kw_only=True)
class Keyframes:
    """A storyboard in order.

    Attributes:
        times: when each is shown, in seconds.
        load: number -> picture `c h w` in [0, 1]; all of one size.
        given: whether each must stay as it is; the others are proposed, and a filler that refines may change them.
    """

    times: tuple[Fraction, ...]
    load: Callable[[int], Tensor]
    given: tuple[bool, ...]


def placed(
    times: Sequence[Fraction], fps: Fraction, on: Callable[[Note], None] = lambda note: None
) -> tuple[Fraction, ...]:
    """The times of the frames in which keyframes are shown: frames follow the first one at `fps`, and each of the
    others takes the nearest. `on` is told where that is another time than the one asked for.

    Raises:
        TweenError: if `fps` is not positive, there are fewer than two, they do not increase, or two share a frame.
    """
    if fps <= 0:
        raise TweenError(f"fps should be above 0, but got {fps}")
    if len(times) < 2:
        raise TweenError(f"expected two keyframes or more to fill between, but got {len(times)}; add one")
    for i, (a, b) in enumerate(pairwise(times), 2):
        if a >= b:
            raise TweenError(
                f"the times of keyframes should increase, but number {i} at {float(b):g} s follows one at "
                f"{float(a):g} s; put them in order"
            )
    ticks = [round((time - times[0]) * fps) for time in times]
    for i, (a, b) in enumerate(pairwise(ticks), 1):
        if a == b:
            raise TweenError(
                f"keyframes {i} and {i + 1} at {float(times[i - 1]):g} and {float(times[i]):g} s fall on one frame at "
                f"{float(fps):g} fps; ask for more frames a second"
            )
    found = tuple(times[0] + tick / fps for tick in ticks)
    if moved := [i for i, (a, b) in enumerate(zip(times, found, strict=True)) if abs(a - b) * fps > CLOSE]:
        on(Note(_moved(moved, times, found, fps)))
    return found


def _moved(moved: list[int], times: Sequence[Fraction], found: Sequence[Fraction], fps: Fraction) -> str:
    most = max(moved, key=lambda i: abs(times[i] - found[i]))
    rest = f" and {len(moved) - 1} more lie" if len(moved) > 1 else " lies"
    return (
        f"Keyframe {most + 1}{rest} between two frames at {float(fps):.6g} fps, and the nearer one is taken: "
        f"{float(found[most]):.6g} s in place of {float(times[most]):.6g} s."
    )


def storyboard(
    keyframes: Keyframes,
    fps: Fraction,
    filler: Filler,
    *,
    text: Tensor | None = None,
    device: Any = "cpu",
    seed: int = 0,
    fallbacks: Sequence[Fallback] = (),
    on: Callable[[Note], None] = lambda note: None,
) -> Iterator[Frame]:
    """A frame every 1 / fps from the first keyframe to the last one. Those of given keyframes are the pictures
    themselves. Proposed ones are changed first, by a filler that has a `condition`; what is filled goes by them.

    Args:
        keyframes: with times as `placed` gives them.
        text: a text embedding `l d` or `d`.
        fallbacks, on: see `fill`.

    Raises:
        TweenError: if there is text and the filler takes none; and as `fill`.
    """
    size = filler.past + filler.future
    cond = condition(filler, (True,) * size, text)
    shown = (Marked(frame=frame) for frame in settled(keyframes, filler, text=text, device=device, seed=seed))
    parts = gaps(
        shown,
        fps,
        end=lambda: keyframes.times[-1] + 1 / fps,
        scene="off",
        past=filler.past,
        future=filler.future,
        most=getattr(filler, "most", None),
    )
    made = fill(parts, filler, device=device, seed=seed, fallbacks=fallbacks, on=on, cond=cond)
    return map(on_host, made)


def settled(
    keyframes: Keyframes, filler: Filler, *, text: Tensor | None = None, device: Any = "cpu", seed: int = 0
) -> Iterator[Frame]:
    """The keyframes; those that are proposed as a filler with a `condition` makes them of all in its sight."""
    refines = getattr(filler, "condition", None) is not None
    for i, (time, given) in enumerate(zip(keyframes.times, keyframes.given, strict=True)):
        rgb = keyframes.load(i)
        if not given and refines:
            rgb = _refined(i, keyframes, filler, text, device, seed)
        yield Frame(time=time, rgb=rgb, source=given or not refines)


def condition(filler: Filler, given: Sequence[bool], text: Tensor | None) -> Any:
    """What the filler is told besides the pictures: which of those it sees are given, and the text.

    Raises:
        TweenError: if there is text and it takes none.
    """
    make = getattr(filler, "condition", None)
    if make is not None:
        return make(given=tuple(given), text=text)
    if text is not None:
        raise TweenError(
            "this model takes no text; leave the text embedding out, or choose a model that does"
        )
    return None


@torch.inference_mode()
def _refined(
    i: int, keyframes: Keyframes, filler: Filler, text: Tensor | None, device: Any, seed: int
) -> Tensor:
    sight = _sight(i, len(keyframes.times), filler.past, filler.future)
    frames = torch.stack([keyframes.load(k) for k in sight])[None].to(device)
    known = as_rgb(frames)
    b, _, c, h, w = known.shape
    state = filler.begin((b, c, h, w), seed=seed, device=device, dtype=known.dtype)
    cond = condition(filler, [keyframes.given[k] for k in sight], text)
    times = keyframes.times
    made, _ = filler.fill(state, known, [times[k] for k in sight], [times[i]], cond)
    return as_given(made.float().clamp(0, 1), frames)[0, 0].cpu()


def _sight(i: int, n: int, past: int, future: int) -> list[int]:
    """The keyframes seen for number i, as for the gap that it begins, or ends if it is the last."""
    left = min(i, n - 2)
    return [min(max(k, 0), n - 1) for k in range(left + 1 - past, left + 1 + future)]
