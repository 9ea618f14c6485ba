"""`tween fill`: a storyboard in, a clip out."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from tyro.conf import Positional, arg

from tween import api
from tween.cli.interpolate import trained
from tween.core import Frame, TweenError, exact
from tween.infer.board import FPS, Board, embedding, look, of_pictures, picture, read_board
from tween.infer.fill import Note
from tween.infer.storyboard import Keyframes, placed, storyboard
from tween.video.images import SUFFIXES, is_images, matching, numbered
from tween.video.info import VideoInfo
from tween.video.write import open_writer


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make a clip of a storyboard: each picture is shown at its time as it is, and a model makes what lies between."""

    sources: Annotated[Positional[tuple[Path, ...]], arg(metavar="BOARD.json | PICTURES")]
    """A board.json (docs/storyboards.md), or two pictures or more with --times."""
    output: Annotated[Path, arg(aliases=["-o"], metavar="OUT")]
    """Where the clip goes; its suffix names the container. out_%03d.png makes numbered pictures."""
    times: Annotated[str | None, arg(metavar="T,T,...")] = None
    """When each picture is shown, in seconds: 0,1,2.5."""
    fps: Annotated[str | None, arg(metavar="RATE")] = None
    """Frames a second. Default: the board's, else 24."""
    text: Annotated[Path | None, arg(metavar="FILE.npy")] = None
    """A text embedding, for models that take one. Default: the board's."""
    model: Annotated[str, arg(metavar="NAME")] = api.STORYBOARDS
    """One of `tween models`, a run or a checkpoint. `impute` refines what `fast` fills and is by far the slower one."""
    frames: Annotated[int | None, arg(metavar="N")] = None
    """Let the model see this many keyframes around every gap. Default: as many as it sees by itself."""
    draft: bool = False
    """Leave the model's refinement out: a quick look at what it begins with, of `impute` what `fast` fills."""
    seed: Annotated[int, arg(metavar="S")] = 0
    """Of models that draw by chance."""
    variants: Annotated[int, arg(metavar="N")] = 1
    """So many clips, OUT with -1, -2... before its suffix, of seeds S, S + 1..."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Numbers the network computes with."""
    scale: float = 1.0
    """Estimate motion at this fraction of the frame size: 0.5 for very large motion or 4K."""
    crf: Annotated[float | None, arg(metavar="N")] = None
    """Quality of the encoder: lower is better and larger."""
    codec: Annotated[str | None, arg(metavar="NAME")] = None
    """Encoder, e.g. libx264, libx265, ffv1. Default: by container."""
    pix_fmt: Annotated[str | None, arg(metavar="NAME")] = None
    """Pixel format, e.g. yuv444p. Default: what players take, and the depth of the pictures."""
    overwrite: Annotated[bool, arg(aliases=["-y"])] = False
    """Replace OUT if it exists."""


def main(argv: list[str]) -> int:
    """Parse, fill, report."""
    options = tyro.cli(Options, args=argv, prog="tween fill", config=(tyro.conf.FlagCreatePairsOff,))
    console = Console(stderr=True)

    def on(note: Note) -> None:
        console.print(f"tween: {note.text}", soft_wrap=True, markup=False, highlight=False)

    board = wanted(options)
    times = placed([shot.time for shot in board.shots], board.fps, on)
    info = look(board)
    outputs = named(options.output, options.variants, options.overwrite)
    text = None if board.text is None else embedding(board.text)
    device = api.pick_device(options.device)
    filler, fallbacks = api.open_model(
        trained(options, device),
        device=device,
        precision=options.precision,
        scale=options.scale,
        frames=options.frames,
        draft=options.draft,
        on=on,
    )
    if device == "cpu" and getattr(filler.filler, "coarse", None) is not None:
        on(Note("Refining takes most of the time on a CPU; --draft leaves it out, for a quick look."))
    keyframes = Keyframes(
        times=times,
        load=lambda i: picture(board.shots[i], info),
        given=tuple(shot.given for shot in board.shots),
    )
    prints = []
    for i, output in enumerate(outputs):
        made = storyboard(
            keyframes,
            board.fps,
            filler,
            text=text,
            device=device,
            seed=options.seed + i,
            fallbacks=fallbacks,
            on=on,
        )
        prints.append(write(made, output, options, board, info, times, console))
    if len(outputs) > 1 and len(set(prints)) == 1:
        on(Note("All variants came out alike: this model draws nothing by chance."))
    return 0


def wanted(options: Options) -> Board:
    """The board of a file, or of the pictures on the command line."""
    rate = None if options.fps is None else exact(options.fps, "--fps")
    if len(options.sources) == 1 and options.sources[0].suffix.lower() == ".json":
        if options.times is not None:
            raise TweenError("a board has its own times; leave out --times")
        board = read_board(options.sources[0])
        board = board if rate is None else replace(board, fps=rate)
    else:
        board = of_pictures(options.sources, options.times, FPS if rate is None else rate)
    return board if options.text is None else replace(board, text=options.text)


def named(output: Path, variants: int, overwrite: bool) -> list[Path]:
    """The outputs; of several variants all names are checked before the first one is made."""
    if variants < 1:
        raise TweenError(f"--variants should be at least 1, but got {variants}")
    if output.suffix.lower() in SUFFIXES and numbered(output, 1) == output:
        raise TweenError(
            f"a clip is many pictures, but {output} is one; number them, such as {output.stem}_%03d{output.suffix}"
        )
    if variants == 1:
        return [output]
    found = [output.with_name(f"{output.stem}-{i}{output.suffix}") for i in range(1, variants + 1)]
    for path in found:
        there = path.exists() or (is_images(path) and matching(path))
        if there and not overwrite:
            raise TweenError(f"{path} exists already; choose another name or pass --overwrite")
    return found


def write(
    made: Iterator[Frame],
    output: Path,
    options: Options,
    board: Board,
    info: VideoInfo,
    times: tuple,
    console: Console,
) -> str:
    """Write one clip and say so; a fingerprint of its frames comes back."""
    total = int((times[-1] - times[0]) * board.fps) + 1
    begun, own, print_ = perf_counter(), 0, hashlib.blake2b()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        open_writer(
            output,
            info=info,
            rate=board.fps,
            crf=options.crf,
            codec=options.codec,
            pix_fmt=options.pix_fmt,
            overwrite=options.overwrite,
        ) as writer,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task(str(output), total=total)
        for frame in made:
            writer.write(replace(frame, time=frame.time - times[0]))
            print_.update(frame.rgb.numpy().tobytes())
            own += frame.source
            bar.advance(task)
    for warning in writer.warnings:
        print(f"tween: {warning}", file=sys.stderr)
    spent = perf_counter() - begun
    print(
        f"{output}: {total} frames, {own} of them the storyboard's own, {float(total / board.fps):.4g} s, "
        f"in {spent:.1f} s"
    )
    return print_.hexdigest()
