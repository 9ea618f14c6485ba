"""A walk in the terminal: keys and mouse are asked for before each block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from torch import Tensor

from tween.core import Frame, TweenError
from tween.infer.film import Overlay, filming
from tween.infer.walk import step
from tween.infer.world import Actions, World


def stroll(
    world: World,
    image: Tensor | None,
    seed: int,
    output: Path,
    *,
    blocks: int | None = None,
    overlay: bool = False,
    overwrite: bool = False,
    ask: Callable[[str], str] = input,
    say: Callable[[str], None] = print,
) -> int:
    """Ask, make a block, write it as OUT_current, and so on until n; then the whole is in `output`.

    Args:
        blocks: after so many it ends by itself; None: never.
        ask, say: to and from the player; the end of what `ask` reads, and Ctrl-C there, are an n.

    Returns:
        how many frames were made; 0 where the player did not begin, and nothing is written.
    """
    session, draw, made = world.open(image, seed), Overlay(world), 0
    current = output.with_name(f"{output.stem}_current{output.suffix}")
    pressed = _asked(world, ask, say)
    if pressed is None:
        return 0
    with filming(output, world, overwrite=overwrite) as whole:
        for index in count():
            actions = world.hold(pressed, len(session.due))
            block, session = step(session, world, actions, index)
            draw.add(block)
            frames = [draw.draw(frame) if overlay else frame for frame in block.frames]
            _show(current, world, frames)
            for frame in frames:
                whole.write(frame)
            made += len(frames)
            say(f"{block} are in {current}")
            if blocks is not None and index + 1 >= blocks:
                say(f"this was the last of {blocks} blocks; --latents 0 goes on without end")
                break
            if not _goes_on(ask) or (pressed := _asked(world, ask, say)) is None:
                break
    return made


def _asked(world: World, ask: Callable[[str], str], say: Callable[[str], None]) -> Actions | None:
    """What is to be pressed; asked again until it can be read. None: the end."""
    looks = [letter for letter, (names, _) in world.mode.letters.items() if not names and letter in "IJKLU"]
    keys = "".join(letter for letter in world.mode.letters if letter not in looks)
    while True:
        try:
            typed = ask(f"keys ({' '.join(keys)}; Enter for none): ")
            if looks:
                typed += ask(f"mouse ({' '.join(looks)}; Enter for none): ")
            return world.read("".join(typed.split()))
        except TweenError as error:
            say(f"tween: {error}")
        except (EOFError, KeyboardInterrupt):
            return None


def _goes_on(ask: Callable[[str], str]) -> bool:
    try:
        return ask("Enter to go on, n to end: ").strip().lower() not in ("n", "no")
    except (EOFError, KeyboardInterrupt):
        return False


def _show(path: Path, world: World, frames: Sequence[Frame]) -> None:
    """Write one block alone: 9 or 12 frames."""
    with filming(path, world, overwrite=True) as writer:
        for frame in frames:
            writer.write(replace(frame, time=frame.time - frames[0].time))
