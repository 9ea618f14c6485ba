"""`tween generate --world NAME --actions FILE -o OUT`: a walk through a world, on film."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Annotated

import tyro
from tyro.conf import arg

from tween import api
from tween.core import Frame, TweenError, exact
from tween.infer.film import Overlay, filming
from tween.infer.script import Script, read_script
from tween.infer.walk import Block, blocks_of, smooth, walk
from tween.infer.world import World
from tween.video.still import picture
from tween.zoo.worlds import in_steps, open_world


@dataclass(frozen=True, kw_only=True)
class Options:
    """Walk through a world along actions that are known beforehand, and film it."""

    output: Annotated[Path, arg(aliases=["-o"], metavar="OUT")]
    """Where the video goes; its suffix names the container."""
    world: Annotated[str | None, arg(metavar="NAME")] = None
    """A released world, or the file of one of your own. Default: the first that is released."""
    actions: Annotated[str, arg(metavar="FILE")] = "bench"
    """Letters, an action a block (W, WL, Q for none); a .csv of key and mouse values, a row a frame; a .ndjson diary of
    tween play, which brings its picture and seed along; or bench, the built-in sequence."""
    blocks: Annotated[int | None, arg(metavar="N")] = None
    """How many blocks; the actions begin again when they are over. Default: as many as there are actions for."""
    latents: Annotated[int | None, arg(metavar="N")] = None
    """The same in latents: 150 are 597 frames where a block has 3."""
    image: Annotated[Path | None, arg(metavar="FILE")] = None
    """The picture to begin with. Default: one of the world's own, by the seed."""
    seed: Annotated[int | None, arg(metavar="S")] = None
    """Of all that is drawn by chance. Default: 0, or the diary's."""
    steps: Annotated[int | None, arg(metavar="N")] = None
    """Passes that a block takes: fewer are quicker and softer. Default: the world's own, or the diary's."""
    overlay: bool = False
    """Draw the keys and the mouse into the video."""
    fps: Annotated[str | None, arg(metavar="RATE")] = None
    """Frames a second, filled in by --model where that is more than the world makes."""
    model: Annotated[str | None, arg(metavar="NAME")] = None
    """What fills in, one of `tween models`. Default: the first of them."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    crf: Annotated[float | None, arg(metavar="N")] = None
    """Quality of the encoder: lower is better and larger."""
    overwrite: Annotated[bool, arg(aliases=["-y"])] = False
    """Replace OUT if it exists."""
    verbose: Annotated[bool, arg(aliases=["-v"])] = False
    """Print block, latents and frames as they are made."""


def main(argv: list[str]) -> int:
    """Parse, walk, report."""
    options = tyro.cli(Options, args=argv, prog="tween generate", config=(tyro.conf.FlagCreatePairsOff,))
    world = open_world(options.world, options.device)
    script = read_script(options.actions, world)
    own = script.opening.steps if script.opening else None
    world = in_steps(world, own if options.steps is None else options.steps)
    image, seed = beginning(options.image, options.seed, script, world)
    blocks = walk(world.open(image, seed), world, script, wanted(options, world))
    rate = world.rate if options.fps is None else exact(options.fps, "--fps")
    begun, made = perf_counter(), 0
    with filming(options.output, world, rate, crf=options.crf, overwrite=options.overwrite) as writer:
        for frame in frames(blocks, options, world, script.first, rate):
            writer.write(frame)
            made += 1
    spent = perf_counter() - begun
    for warning in writer.warnings:
        print(f"tween: {warning}", file=sys.stderr)
    print(
        f"{options.output}: {made} frames, {float(made / rate):.1f} s, made in {spent:.1f} s ({made / spent:.1f} fps)"
    )
    return 0


def beginning(image: Path | None, seed: int | None, script: Script, world: World):
    """The picture and the seed: those asked for, else those of the script, else the world's."""
    own = script.opening
    seed = seed if seed is not None else own.seed if own else 0
    if image is not None:
        return picture(image, world.size), seed
    return (own.image if own else None), seed


def wanted(options: Options, world: World) -> int | None:
    """How many blocks were asked for."""
    if options.blocks is not None and options.latents is not None:
        raise TweenError("expected one of --blocks and --latents, but got both; leave one out")
    if options.latents is not None:
        return blocks_of(options.latents, world)
    if options.blocks is not None and options.blocks < 1:
        raise TweenError(f"--blocks should be at least 1, but got {options.blocks}")
    return options.blocks


def frames(
    blocks: Iterator[Block], options: Options, world: World, first: int, rate: Fraction
) -> Iterator[Frame]:
    """The frames to film, smoothed and drawn upon as the options say, from frame number `first` on at time 0."""
    overlay = Overlay(world)

    def plain() -> Iterator[Frame]:
        for block in blocks:
            if options.verbose:
                print(block, flush=True)
            overlay.add(block)
            yield from (f for i, f in zip(block.shown, block.frames, strict=True) if i >= first)

    made: Iterator[Frame] = plain()
    if options.fps is not None:
        device = api.pick_device(options.device)
        made = smooth(made, world.rate, rate, api.open_model(options.model, device=device)[0], device)
    for frame in made:
        shown = overlay.draw(frame) if options.overlay else frame
        yield Frame(time=frame.time - first / world.rate, rgb=shown.rgb, source=False)
