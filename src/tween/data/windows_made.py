"""Windows of N frames made on the device: cut from real clips held there, and layers that move on curves, faster and
slower, with exact truth. See `tween.data.windows.Window`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.clips import Windows, draw_positions, tint, uniform
from tween.data.layers import Course, View, displacement, draw_course, draw_look, render, soften
from tween.data.store import FrameStore, sample
from tween.data.windows import Window, unknown

LEAST = 2  # frames between two known ones at least, so that there is a true one


def joined(parts: Sequence[Window]) -> Window:
    """One batch out of several that share N."""
    return Window(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Window)})


def eligible(windows: Windows, n: int) -> tuple[Tensor, Tensor]:
    """Greatest spacing of a window of `n` frames in each shot, and its weight; 0 if it is too short."""
    longest = torch.minimum(windows.reach, (windows.count - 1) // (n - 1))
    return longest, windows.weight * (longest >= LEAST)


def require(windows: Windows, n: int) -> None:
    """That some shot holds a window of `n` frames; asked once, since every batch would have to wait for the answer.

    Raises:
        TweenError: if none does.
    """
    if not bool((eligible(windows, n)[1] > 0).any()):
        raise TweenError(
            f"windows of {n} frames need shots of {LEAST * (n - 1) + 1} frames, but there are none"
        )


def draw_window(windows: Windows, n: int, count: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Frame indices `count n+1` (the last is the true one) and its t `count`: any spacing that the shot's motion
    allows, any frame between, the middle of a gap half of the time, backwards half of the time.

    Some shot must be long enough; see `require`.
    """
    longest, weight = eligible(windows, n)
    shot = torch.multinomial(weight, count, replacement=True, generator=g)
    spacing = LEAST + (uniform(count, 0, 1, g) * (longest[shot] - LEAST + 1)).long()
    gap = (uniform(count, 0, 1, g) * (n - 1)).long()
    inside = 1 + (uniform(count, 0, 1, g) * (spacing - 1)).long()
    inside = torch.where(uniform(count, 0, 1, g) < 0.5, (spacing // 2).clamp_min(1), inside)
    span = spacing * (n - 1)
    start = windows.first[shot] + (uniform(count, 0, 1, g) * (windows.count[shot] - span)).long()
    known = start[:, None] + spacing[:, None] * torch.arange(n, device=start.device)
    target = gap * spacing + inside
    back = uniform(count, 0, 1, g) < 0.5
    t = torch.where(back, span - target, target) / span
    known = torch.where(back[:, None], known.flip(1), known)
    return torch.cat((known, (start + target)[:, None]), 1), t


def clip_windows(
    store: FrameStore,
    windows: Windows,
    n: int,
    count: int,
    size: tuple[int, int],
    g: torch.Generator,
    *,
    sample: Callable[..., Tensor] = sample,
) -> Window:
    """`count` augmented real windows of `n` frames, crops of `size` (h, w); their motion is not known."""
    frame, t = draw_window(windows, n, count, g)
    position, zoom = draw_positions(store, frame[:, 0], size, g)
    k = n + 1
    frames = sample(store, frame, position[:, None].expand(-1, k, -1, -1, -1), zoom[:, None].expand(-1, k))
    frames = tint(frames, g)
    return unknown(frames[:, :-1], frames[:, -1], t)


def curved(course: Course, n: int, g: torch.Generator) -> Course:
    """The motion of a pair drawn out over n - 1 gaps: as fast in each of them, bent up to four times as much."""
    gaps, count = n - 1, len(course.centre)
    more = torch.exp(uniform(count, -0.7, 1.4, g)).view(count, 1, 1) if gaps > 1 else 1.0
    return course._replace(
        velocity=course.velocity * gaps,
        bend=course.bend * gaps**2 * more,
        turn=course.turn * gaps,
        growth=course.growth * gaps,
    )


def layer_windows(
    store: FrameStore,
    n: int,
    count: int,
    size: tuple[int, int],
    g: torch.Generator,
    *,
    t: Tensor | None = None,
    render: Callable[..., View] = render,
) -> Window:
    """`count` windows of layers in motion with the exact path of every pixel; true frames at `t` `count`, else at any
    time. `render` may be a compiled one."""
    course, look = curved(draw_course(count, size, g), n, g), draw_look(store, count, size, g)
    if t is None:
        gap = (uniform(count, 0, 1, g) * (n - 1)).floor()
        inside = torch.where(uniform(count, 0, 1, g) < 0.5, 0.5, uniform(count, 0.05, 0.95, g))
        t = (gap + inside) / (n - 1)
    times = [torch.full_like(t, i / (n - 1)) for i in range(n)]
    views = [render(store, course, look, s, size) for s in (*times, t)]
    frames = tint(soften(torch.stack([v.picture for v in views], 1), g), g)
    paths = [torch.stack([displacement(course, view, s) for s in (*times, t)], 1) for view in views[:-1]]
    return Window(
        frames=frames[:, :-1],
        times=torch.stack(times, 1),
        truth=frames[:, -1],
        t=t,
        flow=torch.stack(paths, 1),
        layer=torch.stack([v.seen for v in views[:-1]], 1).float(),
        known=torch.ones_like(t),
    )
