"""`tween interpolate IN -o OUT`: a video in, a smooth video out."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tyro.conf import Positional, arg

from tween import api
from tween.core import Filler, TweenError, exact
from tween.infer import pipeline, preflight
from tween.infer.fill import Note
from tween.video.read import probe


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make a video smooth: frames at any rate, or slow motion, with its sound."""

    source: Annotated[Positional[Path], arg(metavar="IN")]
    """The video: a file, a GIF, a folder of images or a pattern such as frames/%05d.png."""
    output: Annotated[Path | None, arg(aliases=["-o"], metavar="OUT")] = None
    """Where the new one goes; its suffix names the container. frames/%05d.png, or a folder (a name without suffix),
    for images. Not needed with --dry-run."""
    fps: Annotated[str | None, arg(metavar="RATE")] = None
    """Frames a second: 60, 59.94 or 60000/1001. Without --fps, --factor or --slowmo: twice the source's."""
    factor: Annotated[str | None, arg(metavar="X")] = None
    """Frames a second as a multiple of the source's: 2, 2.5."""
    slowmo: Annotated[str | None, arg(metavar="X")] = None
    """How many times slower it plays; alone it keeps the source's frames a second."""
    input_rate: Annotated[str | None, arg(metavar="RATE")] = None
    """Frames a second of an image sequence, which has none of its own. Default: 25."""
    model: Annotated[str | None, arg(metavar="NAME")] = None
    """One of `tween models`, a run (NAME, or NAME_best) or a checkpoint. Default: the first of `tween models`."""
    frames: Annotated[int | None, arg(metavar="N")] = None
    """Known frames that splat and impute see around each new one: 2, 3 or 4."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Numbers the network computes with."""
    scale: float = 1.0
    """Estimate motion at this fraction of the frame size: 0.5 for very large motion or 4K."""
    ss: Annotated[str | None, arg(metavar="TIME")] = None
    """Begin here: seconds after the first frame, or [h:]m:s."""
    to: Annotated[str | None, arg(metavar="TIME")] = None
    """Stop here; counted as --ss is, from the first frame of the source."""
    scene: Literal["hold", "blend", "off"] = "hold"
    """At a cut hold the last frame, blend both, or look for no cuts."""
    retime_duplicates: bool = False
    """Replace repeated frames (animation on twos and threes, stutter) by motion."""
    crf: Annotated[float | None, arg(metavar="N")] = None
    """Quality of the encoder: lower is better and larger."""
    codec: Annotated[str | None, arg(metavar="NAME")] = None
    """Encoder, e.g. libx264, libx265, libsvtav1, prores_ks, ffv1. Default: by container and source."""
    pix_fmt: Annotated[str | None, arg(metavar="NAME")] = None
    """Pixel format, e.g. yuv420p10le. Default: the source's, if the encoder takes it."""
    preset: Annotated[str | None, arg(metavar="NAME")] = None
    """Speed of the encoder, e.g. fast, slow."""
    overwrite: Annotated[bool, arg(aliases=["-y"])] = False
    """Replace OUT if it exists."""
    dry_run: bool = False
    """Only look: print what would be done, the cuts, duplicates, memory and time."""
    json: bool = False
    """Print the plan or the result as JSON on stdout."""


def main(argv: list[str]) -> int:
    """Parse, run, report."""
    options = tyro.cli(Options, args=argv, prog="tween interpolate", config=(tyro.conf.FlagCreatePairsOff,))
    console = Console(stderr=True)
    rate = None if options.input_rate is None else exact(options.input_rate, "--input-rate")
    info = probe(options.source, rate=rate)
    wish = api.request(
        options.source,
        fps=options.fps,
        factor=options.factor,
        slowmo=options.slowmo,
        start=seconds(options.ss, "--ss"),
        stop=seconds(options.to, "--to"),
        scene=options.scene,
        retime=options.retime_duplicates,
        input_rate=rate,
        info=info,
    )
    if options.output is None and not options.dry_run:
        raise TweenError("expected where to write, but got no output; pass -o OUT, or --dry-run only to look")
    device = api.pick_device(options.device)
    filler, fallbacks = api.open_model(
        trained(options, device),
        device=device,
        precision=options.precision,
        scale=options.scale,
        frames=options.frames,
    )
    if options.dry_run:
        return _look(wish, info, filler, device, options.json, console)
    return _make(options, wish, info, filler, device, fallbacks, console)


def trained(options: Options, device: str) -> str | Filler | None:
    """The name of the model that was asked for, or what a run left, which has nothing to step down to."""
    from tween.zoo import ZOO

    if options.model is None or options.model in ZOO:
        return options.model
    from tween.evaluate.models import find, ready

    if find(options.model) is None:
        return options.model
    return ready(options.model, device=device, precision=options.precision, scale=options.scale)


def seconds(text: str | None, what: str):
    """`12.5`, `1:02.5` or `0:01:02.5` as exact seconds."""
    if text is None:
        return None
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise TweenError(f"{what} should be seconds or [h:]m:s, but got {text!r}")
    total = exact(0)
    for part in parts:
        total = total * 60 + exact(part, what)
    return total


def _look(wish, info, filler, device, as_json, console) -> int:
    with console.status(f"looking at {wish.path}"):
        report = preflight.look(wish, info, filler, device)
    if as_json:
        print(json.dumps(asdict(report), default=str, indent=2))
        return 0
    rows = {
        "picture": f"{report.width}x{report.height}, {info.codec}, {info.bits} bit",
        "frames": f"{report.frames_in} at {_rate(report.fps_in)}"
        + (" (variable)" if report.variable else "")
        + f" -> {report.frames_out} at {_rate(report.fps_out)}",
        "cuts": f"{len(report.cuts)}" + (f": {_clock(report.cuts)}" if report.cuts else ""),
        "duplicates": report.duplicates
        + (
            f" ({report.repeated} of {report.frames_in} frames); see --retime-duplicates"
            if report.repeated
            else ""
        ),
        "interlacing": f"{report.interlacing}; run first: ffmpeg -i IN -vf {report.run_first} -c:a copy OUT"
        if report.interlacing
        else "none seen",
        "memory": f"network {_size(report.memory['network'])} on {device}"
        + (f" in {report.tiles} tiles" if report.tiles > 1 else "")
        + f", frames {_size(report.memory['frames'])}",
        "time": f"about {_duration(report.seconds)} without encoding",
    }
    for name, value in rows.items():
        print(f"{name:12} {value}")
    for warning in report.warnings:
        print(f"{'warning':12} {warning}")
    return 0


def _make(options, wish, info, filler, device, fallbacks, console) -> int:
    span = _span(wish, info)
    total = int(span * wish.stretch * wish.fps) if span else None
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[speed]}")
    columns = [TextColumn(c) if isinstance(c, str) else c for c in columns] + [TimeRemainingColumn()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(str(options.output), total=total, speed="")

        def on(event: pipeline.Event) -> None:
            if isinstance(event, Note):
                console.print(f"tween: {event.text}", soft_wrap=True, markup=False, highlight=False)
            else:
                speed = bar.tasks[task].speed
                bar.update(task, completed=event.frames, speed=f"{speed:.1f} fps" if speed else "")

        summary = pipeline.interpolate(
            wish,
            options.output,
            filler,
            device=device,
            fallbacks=fallbacks,
            on=on,
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            pix_fmt=options.pix_fmt,
            overwrite=options.overwrite,
        )
    for warning in summary.warnings:
        print(f"tween: {warning}", file=sys.stderr)
    if options.json:
        print(json.dumps({"output": str(options.output), **asdict(summary)}, indent=2))
        return 0
    rates = " · ".join(f"{stage} {rate:.0f} fps" for stage, rate in summary.rates.items())
    print(
        f"{options.output}: {summary.frames_out} frames ({summary.untouched} of them the source's own) "
        f"in {_duration(summary.seconds)}; {rates}: {summary.bottleneck} is the bottleneck"
    )
    return 0


def _span(wish, info):
    stop = min(x for x in (wish.stop, info.duration, 10**9) if x is not None)
    return max(0, stop - (wish.start or 0)) if stop < 10**9 else None


def _rate(fps) -> str:
    return f"{float(fps):.6g} fps"


def _clock(times) -> str:
    shown = ", ".join(f"{int(t) // 60}:{float(t % 60):06.3f}" for t in times[:12])
    return shown + (", ..." if len(times) > 12 else "")


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _duration(length: float) -> str:
    if length < 60:
        return f"{length:.1f} s"
    minutes, rest = divmod(round(length), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02} min"
