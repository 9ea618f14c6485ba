"""A walk through a world: script in, frames out, smoothed on the way if wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any

from tween.core import Filler, Frame, TweenError
from tween.infer.fill import fill, on_host
from tween.infer.plan import gaps, mark
from tween.infer.script import Script
from tween.infer.session import Session
from tween.infer.world import Actions, World


@dataclass(frozen=True, kw_only=True)
class Block:
    """What one step made.

    Attributes:
        index, latents, shown: its number, its latents and its frames.
        frames: on the CPU, with their times.
        actions: one for each frame.
    """

    index: int
    latents: range
    shown: range
    frames: Sequence[Frame]
    actions: Actions

    def __str__(self) -> str:
        """`block 5: latents 15-17, frames 57-68`."""
        latents, shown = self.latents, self.shown
        return f"block {self.index}: latents {latents[0]}-{latents[-1]}, frames {shown[0]}-{shown[-1]}"


def blocks_of(latents: int, world: World) -> int:
    """How many blocks `latents` latents are.

    Raises:
        TweenError: if the last one would not be whole.
    """
    if latents < 1 or latents % world.block:
        near = max(1, round(latents / world.block)) * world.block
        raise TweenError(
            f"{world.name} makes {world.block} latents at a time, but got {latents}; ask for {near}"
        )
    return latents // world.block


def walk(session: Session, world: World, script: Script, blocks: int | None = None) -> Iterator[Block]:
    """The blocks of a script, of a new session.

    Args:
        blocks: how many; None: as many as the script covers.

    Raises:
        TweenError: if it does not cover one.
    """
    for index in count() if blocks is None else range(blocks):
        if blocks is None and not script.covers(index, session.due):
            if not index:
                raise TweenError(
                    f"the first block shows {len(session.due)} frames, but there are actions for "
                    f"{script.keys.shape[1]}; add rows"
                )
            return
        block, session = step(session, world, script.at(index, session.due, world), index)
        yield block


def step(session: Session, world: World, actions: Actions, index: int) -> tuple[Block, Session]:
    """Block number `index` of a session, and the session after it."""
    shown = session.due
    told = world.actions(actions.keys.to(world.device), actions.mouse.to(world.device))
    clip, session = session.step(told)
    pictures = clip.frames[0].float().cpu()
    frames = [Frame(time=t, rgb=rgb, source=False) for t, rgb in zip(clip.times, pictures, strict=True)]
    latents = range(index * world.block, (index + 1) * world.block)
    return Block(index=index, latents=latents, shown=shown, frames=frames, actions=actions), session


def smooth(
    frames: Iterable[Frame], rate: Fraction, fps: Fraction, filler: Filler, device: Any
) -> Iterator[Frame]:
    """Frames of `rate` a second at `fps` a second, by a filler that sees one frame on each side; held back by no more
    than the two frames that come next. Those whose time is a tick pass untouched.

    Raises:
        TweenError: if `fps` is below `rate`.
    """
    if fps < rate:
        raise TweenError(
            f"--fps should be at least the world's own {float(rate):.6g}, but got {float(fps):.6g}"
        )
    end = Fraction(0)

    def watched() -> Iterator[Frame]:
        nonlocal end
        for frame in frames:
            end = frame.time + 1 / rate
            yield frame

    known = mark(watched(), scene="off")
    parts = gaps(known, fps, end=lambda: end, scene="off", past=filler.past, future=filler.future)
    return map(on_host, fill(parts, filler, device=device))
