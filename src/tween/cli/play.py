"""`tween play --world NAME`: walk through a world, in the browser or in the terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import arg

from tween.core import TweenError
from tween.infer.walk import blocks_of
from tween.infer.world import World
from tween.video.still import picture
from tween.zoo.worlds import in_steps, open_world

LATENTS = 360  # of a walk in the terminal


@dataclass(frozen=True, kw_only=True)
class Options:
    """Walk through a world: a page in the browser, or --terminal. Ctrl-C ends it."""

    world: Annotated[str | None, arg(metavar="NAME")] = None
    """A released world, or the file of one of your own. Default: the first that is released."""
    image: Annotated[Path | None, arg(metavar="FILE")] = None
    """The picture to begin with. Default: one of the world's own."""
    seed: Annotated[int, arg(metavar="S")] = 0
    """Of all that is drawn by chance."""
    latents: Annotated[int | None, arg(metavar="N")] = None
    """The walk is over after so many; 0: never. Default: 360 in the terminal, else 0."""
    steps: Annotated[int | None, arg(metavar="N")] = None
    """Passes that a block takes: fewer are quicker and softer. Default: the world's own."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    host: str = "127.0.0.1"
    """Who may come: by default this machine alone; 0.0.0.0 lets everybody in who can reach it."""
    port: int = 7860
    """Of the page; 0 takes a free one."""
    record: Annotated[Path, arg(metavar="FOLDER")] = Path("recordings")
    """Where recordings go: an MP4 and a diary that `tween generate --actions` lives again."""
    terminal: bool = False
    """Ask for keys and mouse before each block, here; writes OUT_current after each, and OUT at the end."""
    output: Annotated[Path | None, arg(aliases=["-o"], metavar="OUT")] = None
    """Where a walk in the terminal goes."""
    overlay: bool = False
    """Draw the keys and the mouse into the video of the terminal."""
    overwrite: Annotated[bool, arg(aliases=["-y"])] = False
    """Replace OUT if it exists."""


def main(argv: list[str]) -> int:
    """Parse, open the world, play."""
    options = tyro.cli(Options, args=argv, prog="tween play", config=(tyro.conf.FlagCreatePairsOff,))
    if options.terminal and options.output is None:
        raise TweenError("expected where to write, but got no output; pass -o OUT with --terminal")
    serve = None if options.terminal else web()
    world = in_steps(open_world(options.world, options.device), options.steps)
    if options.image is not None:
        world = replace(world, pictures=[picture(options.image, world.size), *world.pictures])
    return terminal(options, world) if serve is None else page(options, world, serve)


def terminal(options: Options, world: World) -> int:
    """Walk by question and answer."""
    from tween.studio.terminal import stroll

    limit = LATENTS if options.latents is None else options.latents
    image = world.pictures[0] if options.image else None
    made = stroll(
        world,
        image,
        options.seed,
        options.output,
        blocks=blocks_of(limit, world) if limit else None,
        overlay=options.overlay,
        overwrite=options.overwrite,
    )
    print(f"{options.output}: {made} frames" if made else "nothing was made")
    return 0


def page(options: Options, world: World, serve: Any) -> int:
    """Serve the page until Ctrl-C."""
    from tween.studio.server import LOOPBACK, Studio

    def ready(address: str) -> None:
        print(f"{world.name} is at {address}; Ctrl-C ends it", flush=True)
        if options.host not in LOOPBACK:
            print(
                "tween: whoever can reach this machine can play, and fetch what is recorded", file=sys.stderr
            )

    studio = Studio(
        world=world, folder=options.record, host=options.host, limit=options.latents or 0, seed=options.seed
    )
    serve(studio, options.port, ready)
    return 0


def web() -> Any:
    """What serves the page.

    Raises:
        TweenError: if what it is made of is not installed.
    """
    try:
        from tween.studio.serve import serve
    except ImportError as error:
        missing = (error.name or "a package").partition(".")[0]
        raise TweenError(
            f"the page of tween play needs {missing}: pip install 'tween-video[play]', or play in the --terminal"
        ) from None
    return serve
