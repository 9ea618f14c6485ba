"""Triples (frame 0, frame t, frame 1) cut from real clips: windows inside one shot, never across a cut."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.store import FrameStore, sample
from tween.ops.warp import pixel_grid


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A run of frames without a cut: `start` and `count` in its file, mean flow in px a frame at the file's size."""

    file: str
    start: int
    count: int
    flow: float


def read_shots(path: Path) -> list[Shot]:
    """Shots from a CSV with columns file, start_frame, end_frame_excl, mean_flow_px."""
    try:
        with path.open(newline="") as f:
            return [
                Shot(
                    file=row["file"],
                    start=int(row["start_frame"]),
                    count=int(row["end_frame_excl"]) - int(row["start_frame"]),
                    flow=float(row["mean_flow_px"]),
                )
                for row in csv.DictReader(f)
            ]
    except (OSError, KeyError, ValueError) as error:
        raise TweenError(
            f"{path} should be a CSV of shots (file, start_frame, end_frame_excl, mean_flow_px): {error}"
        ) from error


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Where triples may be drawn, as tensors on the device.

    Attributes:
        first: first frame of each shot in the store.
        count: frames in it.
        reach: longest distance between frame 0 and frame 1, in frames.
        weight: how often a shot is drawn.
    """

    first: Tensor
    count: Tensor
    reach: Tensor
    weight: Tensor

    @staticmethod
    def build(shots: Sequence[Shot], first: Sequence[int], *, pixels: float, device: torch.device) -> Windows:
        """`first[i]` is where shot i begins in the store; `pixels` bounds the mean motion of a triple.

        Shots that move little are drawn less: a triple of identical frames teaches nothing. Shots of fewer than three
        frames hold no triple and are left out.

        Raises:
            TweenError: if no shot is left.
        """
        long = [(shot, begin) for shot, begin in zip(shots, first, strict=True) if shot.count >= 3]
        if not long:
            raise TweenError(
                "a triple needs a shot of three frames or more, but there is none; add longer clips"
            )
        shots, first = zip(*long, strict=True)
        flow = torch.tensor([max(s.flow, 0.3) for s in shots])
        count = torch.tensor([s.count for s in shots])
        reach = (pixels / flow).floor().clamp(2, 12).long()
        return Windows(
            first=torch.tensor(first).to(device),
            count=count.to(device),
            reach=torch.minimum(reach, count - 1).to(device),
            weight=(count * flow.clamp(max=6.0).sqrt()).to(device),
        )


@dataclass(frozen=True, kw_only=True)
class Triples:
    """A batch.

    Attributes:
        frames: `b 3 3 h w` (frame 0, frame t, frame 1).
        t: `b`.
        flow: `b 4 h w`, exact flow_t0 and flow_t1 in pixels, where known.
        between: `b 4 h w`, exact flow_01 and flow_10.
        known: `b`, 1 where the flows are known, 0 for real clips.
    """

    frames: Tensor
    t: Tensor
    flow: Tensor
    between: Tensor
    known: Tensor

    @staticmethod
    def cat(parts: Sequence[Triples]) -> Triples:
        """One batch out of several."""
        return Triples(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Triples)})


def uniform(n: int, low: float, high: float, g: torch.Generator) -> Tensor:
    """`n` draws from [low, high), on the generator's device."""
    return torch.rand(n, generator=g, device=g.device) * (high - low) + low


def draw_frames(
    windows: Windows, n: int, g: torch.Generator, *, halfway: bool = False
) -> tuple[Tensor, Tensor]:
    """Frame indices `n 3` and t `n`: a free t half of the time (never if `halfway`), the middle otherwise, time
    reversed at random."""
    shot = torch.multinomial(windows.weight, n, replacement=True, generator=g)
    reach, count = windows.reach[shot], windows.count[shot]
    span = 2 + (uniform(n, 0, 1, g) * (reach - 1)).long()
    inside = 1 + (uniform(n, 0, 1, g) * (span - 1)).long()
    middle = (uniform(n, 0, 1, g) < 0.5) | halfway
    span = torch.where(middle, (span // 2) * 2, span)
    inside = torch.where(middle, span // 2, inside)
    start = windows.first[shot] + (uniform(n, 0, 1, g) * (count - span)).long()
    back = uniform(n, 0, 1, g) < 0.5
    begin, end = torch.where(back, start + span, start), torch.where(back, start, start + span)
    t = torch.where(back, span - inside, inside) / span
    return torch.stack((begin, start + inside, end), 1), t


def draw_positions(
    store: FrameStore, frame: Tensor, size: tuple[int, int], g: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Where a crop of `size` (h, w) looks: positions `n h w 2` in the full-size frame, and the zoom `n`.

    Any place, zoom 0.45 to 1.2 (more where the frame is small), a small tilt, mirror images.
    """
    n, (h, w) = len(frame), size
    height, width = store.size[0, frame].float().unbind(-1)
    zoom = torch.exp(uniform(n, -0.8, 0.18, g)).maximum(0.9 * torch.maximum(h / height, w / width))
    angle = uniform(n, -0.12, 0.12, g) * (uniform(n, 0, 1, g) < 0.3)
    signs = torch.where(uniform(2 * n, 0, 1, g) < 0.5, -1.0, 1.0).view(2, n, 1, 1)

    def centre(side: int, length: Tensor) -> Tensor:
        room = (side / zoom / 2).minimum(length / 2)
        return (room + uniform(n, 0, 1, g) * (length - 2 * room))[:, None, None]

    middle = torch.tensor(((w - 1) / 2, (h - 1) / 2), device=frame.device).view(1, 2, 1, 1)
    x, y = ((pixel_grid(h, w, frame.device) - middle) / zoom[:, None, None, None]).unbind(1)
    x, y = x * signs[0], y * signs[1]
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return torch.stack(
        (centre(w, width) + cos * x - sin * y, centre(h, height) + sin * x + cos * y), -1
    ), zoom


def tint(frames: Tensor, g: torch.Generator) -> Tensor:
    """Gain, gamma and channel order, one choice a sample for all its frames (`n k 3 h w`)."""
    n = len(frames)
    gain = uniform(n, 0.8, 1.15, g).view(n, 1, 1, 1, 1)
    gamma = uniform(n, 0.85, 1.2, g).view(n, 1, 1, 1, 1)
    straight = torch.arange(3, device=g.device).expand(n, 3)
    shuffled = torch.rand(n, 3, generator=g, device=g.device).argsort(1)
    order = torch.where(uniform(n, 0, 1, g)[:, None] < 0.3, shuffled, straight)
    frames = frames.gather(2, order.view(n, 1, 3, 1, 1).expand_as(frames))
    return (frames.clamp_min(1e-4) ** gamma * gain).clamp(0, 1)


def clip_triples(
    store: FrameStore,
    windows: Windows,
    n: int,
    size: tuple[int, int],
    g: torch.Generator,
    *,
    sample: Callable[..., Tensor] = sample,
    halfway: bool = False,
) -> Triples:
    """`n` augmented real triples of `size` (h, w); their flow is not known. `sample` may be a compiled one; `halfway`
    draws t = 1/2 alone."""
    frame, t = draw_frames(windows, n, g, halfway=halfway)
    position, zoom = draw_positions(store, frame[:, 0], size, g)
    frames = sample(store, frame, position[:, None].expand(-1, 3, -1, -1, -1), zoom[:, None].expand(-1, 3))
    nothing = torch.zeros(n, 4, *size, device=t.device)
    return Triples(frames=tint(frames, g), t=t, flow=nothing, between=nothing, known=torch.zeros_like(t))
