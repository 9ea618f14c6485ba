"""The library: `frames` of a video at any rate, `between` two pictures at any time, `fill` a storyboard, a `world` to
walk in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tween.core import Filler, Frame, TweenError, exact
from tween.infer.fill import Fallback, Note, as_given, as_rgb, on_host
from tween.infer.memory import budget, fit
from tween.infer.pipeline import Request, filled
from tween.infer.plan import Scene
from tween.infer.storyboard import Keyframes, placed, storyboard
from tween.infer.tile import Tiled
from tween.infer.world import World
from tween.video.info import VideoInfo
from tween.video.pictures import describe, to_tensor
from tween.video.read import probe

Number = Fraction | int | float | str
STORYBOARDS = "impute"  # what fills them where no model is named
SLACK = Fraction(99, 100)  # a camera that says 30.02 may be brought to 30


def frames(
    path: str | Path,
    *,
    fps: Number | None = None,
    factor: Number | None = None,
    slowmo: Number | None = None,
    model: str | Filler | None = None,
    device: str = "auto",
    precision: str = "auto",
    scale: float = 1.0,
    start: Number | None = None,
    stop: Number | None = None,
    scene: Scene = "hold",
    retime: bool = False,
    input_rate: Number | None = None,
    on: Callable[[Note], None] = lambda note: None,
) -> Iterator[tuple[Fraction, Tensor]]:
    """The frames of a video at another rate: (exact time in seconds, RGB `c h w` float in [0, 1]).

    Source frames whose time falls on a tick are given untouched. Decoding runs ahead in a thread; dropping the
    iterator stops it.

    Args:
        path: a video file, GIF, folder of images or pattern.
        fps, factor, slowmo: one or two of them, see `request`.
        model: a name of `tween models` (None: the first of them), or any Filler.
        device: `cpu`, `cuda`, `cuda:1`...; `auto` takes a GPU where there is one.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
        scale: motion is estimated at this fraction of the frame size; below 1 for large motion and large frames.
        start, stop: seconds after the first frame.
        scene: at cuts `hold` the last frame, `blend`, or `off`.
        retime: whether duplicate frames are replaced by motion.
        input_rate: frames a second of an image sequence, which has none of its own (default 25).
        on: is told what a user should know, such as a step down when memory runs out.

    Raises:
        TweenError: on input that cannot be read or a wish that cannot be met.
    """
    wish = request(
        path,
        fps=fps,
        factor=factor,
        slowmo=slowmo,
        start=start,
        stop=stop,
        scene=scene,
        retime=retime,
        input_rate=input_rate,
    )
    device = pick_device(device)
    filler, fallbacks = open_model(model, device=device, precision=precision, scale=scale)
    return _frames(wish, filler, device, fallbacks, on)


def _frames(wish, filler, device, fallbacks, on) -> Iterator[tuple[Fraction, Tensor]]:
    with filled(wish, filler, device=device, fallbacks=fallbacks, on=on) as (_, made):
        for frame in map(on_host, made):
            yield frame.time, frame.rgb


def request(
    path: str | Path,
    *,
    fps: Number | None = None,
    factor: Number | None = None,
    slowmo: Number | None = None,
    start: Number | None = None,
    stop: Number | None = None,
    scene: Scene = "hold",
    retime: bool = False,
    input_rate: Number | None = None,
    info: VideoInfo | None = None,
) -> Request:
    """What is wanted of a video, checked against it.

    Args:
        fps: frames a second of the output. factor: the same as a multiple of the source's rate (default 2).
        slowmo: how many times slower; alone it keeps the source's rate.
        input_rate: frames a second of an image sequence.
        info: of the source, if it has been probed already.

    Raises:
        TweenError: if `fps` and `factor` are both given, one is not positive, or fewer frames would come out.
    """
    own = None if input_rate is None else _positive(input_rate, "input rate")
    info = info or probe(path, rate=own)
    if fps is not None and factor is not None:
        raise TweenError("expected one of fps and factor, but got both; leave one out")
    slow = _positive(slowmo, "slowmo") if slowmo is not None else Fraction(1)
    if fps is not None:
        rate = _positive(fps, "fps")
    elif factor is not None:
        rate = info.rate * _positive(factor, "factor")
    else:
        rate = info.rate * (2 if slowmo is None else 1)
    if slow < 1:
        raise TweenError(f"slowmo should be at least 1 (4 plays four times slower), but got {slowmo}")
    if rate * slow < info.rate * SLACK:
        raise TweenError(
            f"the output should have at least as many frames as the source ({float(info.rate):.6g} a second), "
            f"but {float(rate):.6g} fps was asked for; ask for more"
        )
    begin, end = (None if x is None else exact(x, what) for x, what in ((start, "start"), (stop, "stop")))
    if (begin is not None and begin < 0) or (end is not None and end <= (begin or 0)):
        raise TweenError(f"start and stop should be 0 <= start < stop seconds, but got {start} and {stop}")
    return Request(
        path=path,
        fps=rate,
        stretch=slow,
        start=begin,
        stop=end,
        scene=scene,
        retime=retime,
        input_rate=own,
    )


def between(
    a: Any,
    b: Any,
    t: Number | Sequence[Number] = 0.5,
    *,
    model: str | Filler | None = None,
    device: str = "auto",
    precision: str = "auto",
    scale: float = 1.0,
) -> Any:
    """The picture, or the list of pictures, at time(s) `t` between `a` (0) and `b` (1), of the same kind as they are.

    Args:
        a, b: arrays `h w c` or `h w`, tensors `c h w` or `b c h w`, or PIL images; 1, 3 or 4 channels; uint8 or
            uint16 over their range, floats in [0, 1].
        t: one number in [0, 1], or several, in an array too. 0 and 1 give `a` and `b` themselves.

    Raises:
        TweenError: if they differ in kind or size or have no pixels, or a time is outside [0, 1].
    """
    t = t.tolist() if hasattr(t, "tolist") else t
    several = isinstance(t, Sequence) and not isinstance(t, str)
    times = [exact(x, "t") for x in (t if several else [t])]
    if any(not 0 <= x <= 1 for x in times):
        raise TweenError(f"t should lie in [0, 1], from a to b, but got {t}")
    if type(a) is not type(b):
        raise TweenError(f"between needs two pictures of one kind, but got {describe(a)} and {describe(b)}")
    (first, give), (second, _) = to_tensor(a), to_tensor(b)
    if first.shape != second.shape:
        raise TweenError(f"between needs two pictures of one size, but got {describe(a)} and {describe(b)}")
    if not first.numel():
        raise TweenError(f"between needs pictures with pixels, but got {describe(a)}")
    device = pick_device(device)
    filler, _ = open_model(model, device=device, precision=precision, scale=scale)
    inner = sorted({x for x in times if 0 < x < 1})
    made = dict(zip(inner, _between(filler, first, second, inner, device), strict=True))
    found = [a if x == 0 else b if x == 1 else give(made[x]) for x in times]
    return found if several else found[0]


def _between(filler: Filler, a: Tensor, b: Tensor, times: list[Fraction], device: str) -> list[Tensor]:
    if not times:
        return []
    frames = torch.stack([a] * filler.past + [b] * filler.future, 1).to(device)
    known = as_rgb(frames)
    batch, _, c, h, w = known.shape
    with torch.inference_mode():
        state = filler.begin((batch, c, h, w), seed=0, device=device, dtype=known.dtype)
        known_t = [Fraction(0)] * filler.past + [Fraction(1)] * filler.future
        made, _ = filler.fill(state, known, known_t, times)
        return list(as_given(made.float().clamp(0, 1), frames).cpu().unbind(1))


def fill(
    frames: Sequence[Any],
    times: Sequence[Number],
    fps: Number,
    *,
    given: Sequence[bool] | None = None,
    text: Tensor | None = None,
    model: str | Filler | None = None,
    draft: bool = False,
    device: str = "auto",
    precision: str = "auto",
    scale: float = 1.0,
    seed: int = 0,
    on: Callable[[Note], None] = lambda note: None,
) -> Iterator[tuple[Fraction, Any]]:
    """The clip of a storyboard: (exact time, picture of the kind that was given), every 1 / fps from the first
    keyframe to the last one. At their times keyframes come out as the objects they are.

    Args:
        frames: keyframes, two or more, of one kind and size, as `between` takes them; no batches.
        times: when each is shown, in seconds, increasing. One between two frames moves to the nearer; `on` is told.
        fps: frames a second.
        given: whether each keyframe must stay as it is (all, where None); a model that refines may change the others.
        text: a text embedding `l d` or `d`, for models that take one.
        draft: leave the model's refinement out and show what it begins with.
        model: as for `frames`; None: `STORYBOARDS`.
        device, precision, scale, on: as for `frames`.
        seed: of models that draw by chance.

    Raises:
        TweenError: if keyframes differ in kind or size, times do not increase, or the model takes no text.
    """
    rate = _positive(fps, "fps")
    at = placed([exact(x, "a time") for x in times], rate, on)
    kept = (True,) * len(at) if given is None else tuple(given)
    if not len(frames) == len(at) == len(kept):
        raise TweenError(
            f"expected as many pictures as times, and whether each is given, but got {len(frames)}, {len(at)} and "
            f"{len(kept)}"
        )
    _alike(frames)
    device = pick_device(device)
    model = STORYBOARDS if model is None else model
    filler, fallbacks = open_model(model, device=device, precision=precision, scale=scale, draft=draft, on=on)
    keyframes = Keyframes(times=at, load=lambda i: to_tensor(frames[i])[0][0], given=kept)
    made = storyboard(
        keyframes, rate, filler, text=text, device=device, seed=seed, fallbacks=fallbacks, on=on
    )
    return _pictures(made, dict(zip(at, frames, strict=True)), to_tensor(frames[0])[1])


def _pictures(
    made: Iterator[Frame], own: dict[Fraction, Any], give: Callable[[Tensor], Any]
) -> Iterator[tuple[Fraction, Any]]:
    for frame in made:
        yield frame.time, own[frame.time] if frame.source else give(frame.rgb[None])


def _alike(frames: Sequence[Any]) -> None:
    shape = to_tensor(frames[0])[0].shape
    if shape[0] != 1:
        raise TweenError(f"a keyframe should be one picture, but got {describe(frames[0])}")
    for i, frame in enumerate(frames[1:], 2):
        if type(frame) is not type(frames[0]) or to_tensor(frame)[0].shape != shape:
            raise TweenError(
                f"keyframes should be of one kind and size, but number 1 is {describe(frames[0])} and number {i} "
                f"{describe(frame)}"
            )


def world(name: str | Path | None = None, *, device: str = "auto") -> World:
    """A world to walk in: `place = world()`, `here = place.open()`, and then, again and again,
    `clip, here = here.step(place.hold("W", len(here.due)))`.

    Args:
        name: a released world, or the file of one; None: the first that is released.
        device: `cpu`, `cuda`, `cuda:1`...; `auto` takes a GPU where there is one.

    Raises:
        TweenError: if there is none.
    """
    from tween.zoo.worlds import open_world

    return open_world(None if name is None else str(name), device)


def open_model(
    model: str | Filler | None = None,
    *,
    device: str,
    precision: str = "auto",
    scale: float = 1.0,
    frames: int | None = None,
    draft: bool = False,
    on: Callable[[Note], None] = lambda note: None,
) -> tuple[Tiled, tuple[Fallback, ...]]:
    """A filler for frames of any size, fitted to free memory, and what to fall back on when memory runs out.

    Args:
        frames: how many known ones it sees around a gap; None: what it sees by itself.
        draft: whether to take what a refining model begins with in its place.
        on: is told if a draft leaves nothing out.
    """
    from tween.zoo.load import seeing

    if model is not None and not isinstance(model, str):
        return fit(seeing(_drafting(model, on) if draft else model, frames), budget(device)), ()
    from tween.zoo import ZOO, fillers, load

    name = model or next(iter(fillers()))

    def opened(precision: str, scale: float, part: int = 1) -> Tiled:
        free = budget(device)
        found = load(name, device=device, precision=precision, scale=scale)
        return fit(seeing(_drafting(found, on) if draft else found, frames), free and free // part)

    first = opened(precision, scale)
    less = "fp16" if device.startswith("cuda") else precision
    small = (f"motion is now estimated at {scale / 2:g} of the size", lambda: opened(less, scale / 2))
    if ZOO[name].file is None:  # a method without weights has one precision and one scale
        less, half, steps = precision, scale, ()
    else:
        half, steps = scale / 2, (small,)
    return first, (*steps, ("frames are now cut into small tiles", lambda: opened(less, half, 4)))


def _drafting(filler: Filler, on: Callable[[Note], None]) -> Filler:
    coarse = getattr(filler, "coarse", None)
    if coarse is None:
        on(Note("This model refines nothing: the draft is all there is."))
    return coarse or filler


def pick_device(device: str) -> str:
    """`device`, checked; for `auto` a GPU where there is one."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return "cuda" if there["cuda"] else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if not there.get(kind, False):
        have = ", ".join(name for name, yes in there.items() if yes)
        raise TweenError(
            f"device should be auto or one of {have} here, but got {device!r}; see `tween doctor`"
        )
    return device


def _positive(value: Number, what: str) -> Fraction:
    number = exact(value, what)
    if number <= 0:
        raise TweenError(f"{what} should be above 0, but got {value}")
    return number
