"""What stands in for the frames of a clip between its keyframes. A fill is `fill(frames, known, times) -> frames`:

frames `b t c h w` (pictures or latents), of which it looks at the known ones only; known `b t` bool, at least one a
sample; times: `t` increasing numbers, seconds or any other unit (None: 0, 1, 2...). Known frames come back bit by bit.
Before the first keyframe and after the last one the nearest is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial, wraps
from itertools import pairwise

import torch
from torch import Tensor

from tween.core import Filler, TweenError, exact

Times = Sequence[Fraction | float | int] | Tensor | None
Fill = Callable[[Tensor, Tensor, Times], Tensor]


def keeping(fill: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`fill`, its input checked and its known frames put back as they were."""

    @wraps(fill)
    def kept(frames: Tensor, known: Tensor, times: Times = None, **options: float) -> Tensor:
        check(frames, known)
        made = fill(frames, known, times, **options)
        return torch.where(known[(...,) + (None,) * (frames.ndim - 2)], frames, made)

    return kept


@keeping
def nearest(frames: Tensor, known: Tensor, times: Times = None) -> Tensor:
    """The keyframe nearer in time; the earlier one halfway."""
    before, after, a = neighbours(known, times)
    return take(frames, torch.where(a > 0.5 + 1e-9, after, before))


@keeping
def linear(frames: Tensor, known: Tensor, times: Times = None) -> Tensor:
    """The two keyframes around, faded into one another."""
    before, after, a = neighbours(known, times)
    return take(frames, before).lerp(take(frames, after), like(a, frames))


@keeping
def slerp(frames: Tensor, known: Tensor, times: Times = None) -> Tensor:
    """Along the arc between the channel vectors of the two keyframes at each place, the length by `lerp` (Shoemake,
    SIGGRAPH 1985, on directions): where length says how much, as in latents, fading would shrink what differs.
    Vectors that are parallel, opposite or zero have no arc of their own and are faded."""
    before, after, a = neighbours(known, times)
    x, y, a = take(frames, before).float(), take(frames, after).float(), like(a, frames).float()
    size_x, size_y = (v.norm(dim=2, keepdim=True) for v in (x, y))
    u, v = (w / size.clamp_min(1e-12) for w, size in ((x, size_x), (y, size_y)))
    angle = 2 * torch.atan2((u - v).norm(dim=2, keepdim=True), (u + v).norm(dim=2, keepdim=True))
    sine = angle.sin()
    arc = (((1 - a) * angle).sin() * u + (a * angle).sin() * v) / sine.clamp_min(1e-12)
    straight = (sine < 1e-4) | (size_x < 1e-12) | (size_y < 1e-12)
    return torch.where(straight, x.lerp(y, a), arc * size_x.lerp(size_y, a)).to(frames.dtype)


@keeping
def idw(frames: Tensor, known: Tensor, times: Times = None, *, power: float = 2.0) -> Tensor:
    """All keyframes, weighted by distance in time to the power of `-power` (Shepard, 1968)."""
    at = seconds(times, known)
    distance = (at[:, None] - at).abs()
    weights = torch.where(known[:, None], distance.clamp_min(torch.finfo(at.dtype).tiny) ** -power, 0.0)
    weights = torch.where(torch.eye(len(at), dtype=torch.bool, device=at.device), 0.0, weights)  # of itself
    weights = weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(at.dtype).tiny)
    only = torch.where(
        known[(...,) + (None,) * (frames.ndim - 2)], frames, 0
    )  # what is missing may be anything
    return torch.einsum("bqn,bn...->bq...", weights.to(frames.dtype), only)


def by_filler(filler: Filler, *, seed: int = 0) -> Fill:
    """The fill of a Filler: each gap between neighbouring keyframes by `past` of them before and `future` after, the
    outermost repeated. Frames must be what the filler takes: pictures in [0, 1]. No gradient flows through it."""
    return keeping(partial(_by_filler, filler, seed))


@torch.no_grad()
def _by_filler(filler: Filler, seed: int, frames: Tensor, known: Tensor, times: Times = None) -> Tensor:
    before, after, _ = neighbours(known, times)
    made = take(frames, before)
    at = [exact(x.item() if isinstance(x, Tensor) else x, "time") for x in _given(times, known)]
    for (window, gap), rows in _windows(filler, known, before, after).items():
        shown = frames[rows][:, list(window)]
        shape = (len(rows), *frames.shape[2:])
        state = filler.begin(shape, seed=seed, device=frames.device, dtype=frames.dtype)
        found, _ = filler.fill(state, shown, [at[i] for i in window], [at[i] for i in gap])
        made[torch.tensor(rows)[:, None], torch.tensor(gap)] = found.to(made.dtype)
    return made


def _windows(
    filler: Filler, known: Tensor, before: Tensor, after: Tensor
) -> dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]]:
    """(indices of the keyframes to see, indices to fill) -> the samples of which this is a gap, so that samples with
    the same keyframes are filled in one call."""
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for row, (mask, left, right) in enumerate(
        zip(known.tolist(), before.tolist(), after.tolist(), strict=True)
    ):
        keys = [i for i, given in enumerate(mask) if given]
        for j, (a, b) in enumerate(pairwise(keys)):
            inside = tuple(i for i in range(a + 1, b) if left[i] == a and right[i] == b)
            sight = range(j + 1 - filler.past, j + 1 + filler.future)
            window = tuple(keys[min(max(i, 0), len(keys) - 1)] for i in sight)
            if inside:
                found.setdefault((window, inside), []).append(row)
    return found


def neighbours(known: Tensor, times: Times = None) -> tuple[Tensor, Tensor, Tensor]:
    """For each frame the index of the keyframe at or before it and at or after it, `b t` each, and where it lies
    between them, `b t` in [0, 1]. Where there is none on one side, both are the one of the other side."""
    return between(known, seconds(times, known))


def between(known: Tensor, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`neighbours` of frames at times `t`, which is not looked at: a network may call it."""
    t = known.shape[1]
    index = torch.arange(t, device=known.device).expand_as(known)
    before = torch.where(known, index, -1).cummax(1).values
    after = torch.where(known, index, t).flip(1).cummin(1).values.flip(1)
    before, after = torch.where(before < 0, after, before), torch.where(after == t, before, after)
    before, after = before.clamp(0, t - 1), after.clamp(0, t - 1)  # of a sample of which nothing is known
    span = at[after] - at[before]
    place = torch.where(span > 0, (at - at[before]) / span.clamp_min(torch.finfo(at.dtype).tiny), 0.0)
    return before, after, place


def take(frames: Tensor, index: Tensor) -> Tensor:
    """`b q ...`: the frames of each sample at its indices `b q`."""
    return frames[torch.arange(len(frames), device=frames.device)[:, None], index]


def like(weights: Tensor, frames: Tensor) -> Tensor:
    """`b t` as `b t 1 1 1` in the type of the frames."""
    return weights.to(frames.dtype)[(...,) + (None,) * (frames.ndim - 2)]


def seconds(times: Times, known: Tensor) -> Tensor:
    """`t` in fp64, on the mask's device.

    Raises:
        TweenError: if there is not one a frame, or they do not increase.
    """
    given = _given(times, known)
    at = torch.tensor([float(x) for x in given], dtype=torch.float64)
    if len(at) != known.shape[1] or bool((at.diff() <= 0).any()):
        raise TweenError(
            f"expected a time for each of {known.shape[1]} frames, increasing, but got {at.tolist()}"
        )
    return at.to(known.device)


def check(frames: Tensor, known: Tensor) -> None:
    """Raise a TweenError unless `known` is a bool mask over the first two axes that gives something of each sample."""
    if known.dtype != torch.bool or known.shape != frames.shape[:2]:
        raise TweenError(
            f"expected a bool mask of shape {tuple(frames.shape[:2])}, but got {known.dtype} "
            f"of {tuple(known.shape)}"
        )
    if not bool(known.any(1).all()):
        raise TweenError(
            "expected something given of every sample, but of some there is nothing to fill from"
        )


def _given(times: Times, known: Tensor) -> Sequence:
    return range(known.shape[1]) if times is None else times
