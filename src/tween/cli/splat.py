"""`tween splat orbit|depth|ply IN -o OUT`: what a video's Gaussians are good for beside frames between frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from tyro.conf import Positional, arg

from tween import api
from tween.core import Frame, TweenError, exact
from tween.video.read import open_reader
from tween.video.scenes import cuts
from tween.video.write import open_writer


@dataclass(frozen=True, kw_only=True)
class Options:
    """Look at a video as Gaussians: swing around a frozen instant, its depth, or a .ply of it."""

    what: Annotated[Positional[Literal["orbit", "depth", "ply"]], arg(metavar="WHAT")]
    """orbit: a small camera move at a frozen instant. depth: a video of depth. ply: the Gaussians of an instant."""
    source: Annotated[Positional[Path], arg(metavar="IN")]
    """The video: a file, a GIF, a folder of images or a pattern."""
    output: Annotated[Path, arg(aliases=["-o"], metavar="OUT")]
    """Where the result goes; its suffix names the container, .ply for ply."""
    model: Annotated[str, arg(metavar="NAME")] = "splat"
    """A released splat network, a run (NAME, or NAME_best) or a checkpoint."""
    frames: Annotated[int, arg(metavar="N")] = 4
    """Known frames that are seen around an instant."""
    at: Annotated[str | None, arg(metavar="SECONDS")] = None
    """The instant, seconds after the first frame. Default: the middle of the video."""
    degrees: float = 3.0
    """How far the camera swings to either side."""
    seconds: float = 4.0
    """How long a swing takes."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    crf: Annotated[float | None, arg(metavar="N")] = None
    """Quality of the encoder: lower is better and larger."""
    overwrite: Annotated[bool, arg(aliases=["-y"])] = False
    """Replace OUT if it exists."""


def main(argv: list[str]) -> int:
    """Parse, look, write."""
    options = tyro.cli(Options, args=argv, prog="tween splat", config=(tyro.conf.FlagCreatePairsOff,))
    if options.output.exists() and not options.overwrite:
        raise TweenError(f"{options.output} exists already; choose another name, or pass -y to replace it")
    filler = network(options)
    return {"orbit": swing, "depth": depths, "ply": export}[options.what](options, filler)


def network(options: Options) -> Any:
    """The filler of the network, with its N.

    Raises:
        TweenError: if there is none, or it is none of Gaussians.
    """
    from tween.evaluate.models import ready
    from tween.models.splat.filler import SplatFiller

    filler = ready(options.model, device=api.pick_device(options.device), precision="fp32")
    if not isinstance(filler, SplatFiller):
        raise TweenError(
            f"tween splat needs a network of Gaussians, but {options.model} is none; leave --model out, or give a run"
        )
    return filler.seeing(options.frames)


def window(path: Path, at: Fraction | None, past: int, future: int) -> tuple[Any, list[Frame], Fraction]:
    """What the video says of itself, the frames of one scene around `at` (seconds after the first), and `at` as their
    times have it; where none is asked for, the middle of the video.

    Raises:
        TweenError: if there is only one frame, or `at` lies outside, or between two scenes.
    """
    with open_reader(path) as reader:
        wanted = (reader.info.duration or Fraction(0)) / 2 if at is None else at
        found, first = [], None
        for frame, scene in numbered(reader):
            first = frame.time if first is None else first
            found.append((frame, scene))
            if len(found) > 1 and sum(f.time > first + wanted for f, _ in found) >= future:
                break
            found = found[-(past + future + 1) :]
        info = reader.info
    if len(found) < 2:
        raise TweenError(f"Gaussians need two frames or more, but {path} has one; give a video")
    instant = first + wanted
    here = max(sum(f.time <= instant for f, _ in found) - 1, 0)
    near = around(found, here, past)
    if at is None:
        instant = min(instant, near[-1].time)
    if not near[0].time <= instant <= near[-1].time:
        raise TweenError(
            f"--at should lie between two frames of one scene, but {float(wanted):g} s does not; take another time"
        )
    return info, near, instant


def numbered(frames: Iterable[Frame]) -> Iterator[tuple[Frame, int]]:
    """Frames, each with the number of its scene."""
    scene = 0
    for frame, cut in cuts(frames):
        scene += cut
        yield frame, scene


def around(near: Sequence[tuple[Frame, int]], at: int, past: int) -> list[Frame]:
    """Of consecutive frames with their scenes those of number `at`'s scene, from `past` - 1 before it on, two at least;
    a scene of one frame is seen with its neighbours."""
    own = [i for i, (_, scene) in enumerate(near) if scene == near[at][1]]
    own = own if len(own) > 1 else list(range(len(near)))
    first = max(0, min(own.index(at) + 1 - past, len(own) - 2))
    return [near[i][0] for i in own[first:]]


def pictures(frames: Sequence[Frame], device: Any) -> torch.Tensor:
    """`n 3 h w` on the device; grey as colour, without alpha."""
    return torch.stack([f.rgb[:3].expand(3, -1, -1) for f in frames]).float().to(device)


def held(options: Options, filler: Any) -> tuple[Any, Any]:
    """The video's info and the instant that was asked for."""
    from tween.models.splat.view import still

    at = None if options.at is None else exact(options.at, "--at")
    info, frames, instant = window(options.source, at, filler.past, filler.future)
    device = next(filler.net.parameters()).device
    return info, still(filler.net, pictures(frames, device), [f.time for f in frames], instant)


def swing(options: Options, filler: Any) -> int:
    """A video of a camera that moves while the scene does not."""
    from tween.models.splat.view import orbit

    info, instant = held(options, filler)
    count = max(2, round(options.seconds * float(info.rate)))
    made = orbit(instant, count, degrees=options.degrees)
    write(
        options, info, (Frame(time=i / info.rate, rgb=rgb.cpu(), source=False) for i, rgb in enumerate(made))
    )
    print(f"{options.output}: {count} frames around {float(instant.t):.3g} gaps into the window")
    return 0


def export(options: Options, filler: Any) -> int:
    """A .ply of an instant."""
    from tween.models.splat.ply import write_ply

    if options.output.suffix != ".ply":
        raise TweenError(f"the Gaussians go into a .ply, but OUT is {options.output.name}; change its suffix")
    _, instant = held(options, filler)
    print(f"{options.output}: {write_ply(options.output, instant.gaussians())} Gaussians")
    return 0


def depths(options: Options, filler: Any) -> int:
    """A grey video of depth, frame by frame."""
    with open_reader(options.source) as reader:
        count = write(options, reader.info, depth_frames(reader, filler))
    print(f"{options.output}: {count} frames")
    return 0


def depth_frames(frames: Iterator[Frame], filler: Any) -> Iterator[Frame]:
    """The depth at every frame from the window around it; grey is fixed by the first one, so that it does not flicker.

    Raises:
        TweenError: on one frame.
    """
    from tween.models.splat.view import shaded, still

    device, scale = next(filler.net.parameters()).device, None
    for near, frame in windows(frames, filler.past, filler.future):
        instant = still(filler.net, pictures(near, device), [f.time for f in near], frame.time)
        depth = instant.cropped(instant.seen().depth)
        if scale is None:
            low, middle, high = depth.flatten().quantile(depth.new_tensor((0.05, 0.5, 0.95))).tolist()
            scale = middle, (high - low) / 2
        yield Frame(time=frame.time, rgb=shaded(depth, *scale).cpu(), source=False)


def windows(frames: Iterable[Frame], past: int, future: int) -> Iterator[tuple[list[Frame], Frame]]:
    """Every frame with those of its scene around it: `past` up to and with it, `future` after it, fewer at the ends.

    Raises:
        TweenError: if there is only one.
    """
    stream = numbered(frames)
    near, at = list(islice(stream, 1 + future)), 0
    if len(near) < 2:
        raise TweenError("Gaussians need two frames or more, but there is one; give a video")
    while at < len(near):
        yield around(near, at, past), near[at][0]
        near, at = near + list(islice(stream, 1)), at + 1
        old = max(0, at - past)
        near, at = near[old:], at - old


def write(options: Options, info: Any, frames: Iterator[Frame]) -> int:
    """Frames as a video without sound; how many."""
    count = 0
    with open_writer(
        options.output,
        info=replace(info, alpha=False),
        rate=info.rate,
        time_base=info.time_base,
        crf=options.crf,
        overwrite=options.overwrite,
    ) as writer:
        for frame in frames:
            writer.write(frame)
            count += 1
    return count
