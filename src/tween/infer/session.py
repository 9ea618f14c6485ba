"""A live world as a value: open it with a picture, step it by what the player does, fork it, keep it in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from tween.core import Clip, Filler, TweenError, clone

FORMAT = 1


class Streaming(Filler[Any], Protocol):
    """A `Filler` with `past` 1 and `future` 0 that goes on in blocks."""

    def frames(self, state: Any) -> range:
        """The frames that the next block shows, counted from the picture, which is frame 0."""
        ...


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where a player is in a world.

    Attributes:
        filler: makes the frames.
        rate: frames a second.
        known: the frame that was shown last, `b 1 c h w`; the seed picture before the first block.
        at: its time in seconds.
        held: the filler's state; empty once the session has been stepped.
    """

    filler: Streaming
    rate: Fraction
    known: Tensor
    at: Fraction = Fraction(0)
    held: list[Any] = field(repr=False)

    @property
    def due(self) -> range:
        """The frames that the next step makes."""
        return self.filler.frames(self._state())

    @torch.inference_mode()
    def step(self, cond: Any = None) -> tuple[Clip, Session]:
        """The next block, and the session after it. This one is used up: its memory goes over to the next.

        Args:
            cond: what the player does, one action for each frame of `due`, as the filler takes it.

        Returns:
            frames `b t c h w` in [0, 1] with their times, frame i at exactly i / `rate`; and the next session.

        Raises:
            TweenError: if this session has been stepped before, or from the filler.
        """
        times = tuple(Fraction(i) / self.rate for i in self.due)
        frames, after = self.filler.fill(self.held.pop(), self.known, (self.at,), times, cond)
        last = frames[:, -1:].clone()  # alone: a view would keep the whole block
        session = Session(filler=self.filler, rate=self.rate, known=last, at=times[-1], held=[after])
        return Clip(frames=frames, times=times), session

    def fork(self) -> Session:
        """Another session at the same place; each goes its own way."""
        held = [clone(self._state())]
        return Session(filler=self.filler, rate=self.rate, known=self.known, at=self.at, held=held)

    def save(self, path: str | Path) -> None:
        """Keep the session in one file; it can still be stepped. The file has its name only when it is whole."""
        path = Path(path)
        kept = {"tween": FORMAT, "filler": type(self.filler).__qualname__, "state": self._state()}
        kept |= {"known": self.known, "at": str(self.at), "rate": str(self.rate)}
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            torch.save(kept, unfinished)
            unfinished.replace(path)
        except (OSError, RuntimeError) as error:
            raise TweenError(
                f"the session could not be saved as {path} ({error}); choose another place"
            ) from None
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def _state(self) -> Any:
        if not self.held:
            raise TweenError("a session can be stepped once; step the one it returned, or fork it before")
        return self.held[0]


def open(
    filler: Streaming,
    image: Tensor,
    seed: int = 0,
    *,
    rate: Fraction,
    device: Any = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Session:
    """A session that begins with a picture.

    Args:
        image: `c h w`, or `b c h w` for b players at once, in [0, 1].
        seed: of all that is drawn by chance; equal seeds, pictures and actions give equal frames.
        rate: frames a second.
        dtype: that the filler computes in.

    Raises:
        TweenError: if the picture's size is none the filler takes.
    """
    batch = image if image.ndim == 4 else image[None]
    h, w = batch.shape[-2:]
    if batch.ndim != 4 or h % filler.multiple or w % filler.multiple:
        raise TweenError(
            f"a world begins with a picture (c, h, w) of sides that divide by {filler.multiple}, "
            f"but got {tuple(image.shape)}; crop or scale it"
        )
    state = filler.begin(tuple(batch.shape), seed=seed, device=device, dtype=dtype)
    return Session(filler=filler, rate=Fraction(rate), known=batch.to(device)[:, None], held=[state])


def load(path: str | Path, filler: Streaming, *, device: Any = "cpu") -> Session:
    """The session that `Session.save` kept, for the same filler.

    A file can name only plain data and the dataclasses and tuples of this package and the filler's; it can run nothing.

    Raises:
        TweenError: if there is no such file, it is no session, or one of another filler.
    """
    try:
        with safe_globals(_own(get_unsafe_globals_in_checkpoint(path), type(filler).__module__)):
            kept = torch.load(path, map_location=device, weights_only=True)
        kind, version = kept["filler"], kept["tween"]
        at, rate = Fraction(kept["at"]), Fraction(kept["rate"])
    except FileNotFoundError:
        raise TweenError(f"expected a saved session, but there is no file {path}; check the name") from None
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TweenError(f"expected a saved session, but {path} is none ({reason}); save it again") from None
    if (kind, version) != (type(filler).__qualname__, FORMAT):
        raise TweenError(
            f"expected a session of {type(filler).__qualname__}, but {path} is one of {kind}, version {version}"
        )
    return Session(filler=filler, rate=rate, known=kept["known"], at=at, held=[kept["state"]])


def _own(names: Sequence[str], module: str) -> list[type]:
    """Of the classes that a file names, those that are plain data of this package or `module`'s."""
    packages, found = {__name__.partition(".")[0], module.partition(".")[0]}, []
    for name in names:
        place, _, cls = name.rpartition(".")
        known = place.partition(".")[0] in packages
        value = getattr(sys.modules.get(place), cls, None) if known else None
        if isinstance(value, type) and (is_dataclass(value) or issubclass(value, tuple)):
            found.append(value)
    return found
