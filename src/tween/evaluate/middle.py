"""A frame between two others against the truth, for every scene of a set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from tween.core import Filler, TweenError
from tween.evaluate.confidence import mean
from tween.evaluate.protocols import Protocol as Way
from tween.infer.tile import Tiled
from tween.metrics import Mean, interpolation_error, psnr, ssim_matlab, ssim_uniform
from tween.metrics.image import levels

ENDS, HALFWAY = (Fraction(0), Fraction(1)), Fraction(1, 2)
MEASURES = ("psnr", "ssim", "ie")
LABELS = {"psnr": "PSNR", "ssim": "SSIM", "ie": "IE", "lpips": "LPIPS", "psnr_div": "PSNR_DIV"}
DIGITS = {"psnr": 3, "ie": 3, "psnr_div": 3}
UNITS = {"psnr": " dB", "psnr_div": " dB"}
SSIM = {"matlab": ssim_matlab, "uniform": ssim_uniform}


class Scene(Protocol):
    """A triplet of a dataset. Its field `t`, 1/2 where it has none, is where the truth lies between the other two."""

    name: str

    def load(self) -> tuple[Tensor, Tensor, Tensor]:
        """(before, truth, after), each `3 h w` in [0, 1]."""
        ...


Further = Callable[[Tensor, Tensor, Tensor, Tensor], float]
"""A measure beside the three: (made, truth, before, after), each `1 3 h w` in [0, 1] -> its value."""


@dataclass(frozen=True)
class Row:
    """One picture: PSNR in dB, SSIM, interpolation error in grey levels, and what else was measured by name."""

    name: str
    psnr: float
    ssim: float
    ie: float
    further: Mapping[str, float] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """As plain values, all measures side by side."""
        return {"name": self.name, **self.scores()}

    def scores(self) -> dict[str, float]:
        """Every measure by name."""
        return {"psnr": self.psnr, "ssim": self.ssim, "ie": self.ie, **self.further}


@dataclass(frozen=True)
class Table:
    """Means over the pictures (each picture counts alike) and the rows they come from."""

    protocol: str
    psnr: float
    ssim: float
    ie: float
    rows: tuple[Row, ...]
    further: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        bounds = self.confidence()
        scores = [said(name, value, bounds.get(name)) for name, value in self.means().items()]
        return f"{', '.join(scores)} over {len(self.rows)} pictures ({self.protocol})"

    def means(self) -> dict[str, float]:
        """Every measure's by name."""
        return {"psnr": self.psnr, "ssim": self.ssim, "ie": self.ie, **self.further}

    def confidence(self) -> dict[str, tuple[float, float]]:
        """Bounds of each mean, which hold that of more such pictures with 95 % probability; none of one picture."""
        if len(self.rows) < 2:
            return {}
        found = {k: mean([[row.scores()[k] for row in self.rows]]) for k in self.rows[0].scores()}
        return {k: (interval.low, interval.high) for k, interval in found.items()}

    def json(self) -> dict[str, Any]:
        """As plain values: the means, their confidence, and the rows."""
        rows = [row.json() for row in self.rows]
        return {"protocol": self.protocol, **self.means(), "confidence": self.confidence(), "rows": rows}


def said(name: str, value: float, bounds: tuple[float, float] | None) -> str:
    """A mean in words, with half the width of its confidence: `PSNR 35.620 ± 0.150 dB`."""
    digits = DIGITS.get(name, 4)
    margin = f" ± {(bounds[1] - bounds[0]) / 2:.{digits}f}" if bounds else ""
    return f"{LABELS.get(name, name)} {value:.{digits}f}{margin}{UNITS.get(name, '')}"


def middle_frames(
    filler: Filler[Any],
    scenes: Iterable[Scene],
    way: Way,
    *,
    device: torch.device | str = "cpu",
    further: Mapping[str, Further] | None = None,
) -> Table:
    """Fill what lies between the two frames of every scene and measure it as `way` says.

    Args:
        filler: shown one frame before and one after, also if it sees more by itself.
        device: where the filler's network is.
        further: measures beside PSNR, SSIM and interpolation error, by name.
    """
    filler = paired(filler)
    rows = []
    with torch.inference_mode(), full_precision():
        for scene, pictures in loaded(scenes):
            before, truth, after = (x[None].to(device) for x in pictures)
            made = fill_middle(filler, before, after, way, moment(scene))
            row = measure(scene.name, made, truth, way)
            more = {name: value(made, truth, before, after) for name, value in (further or {}).items()}
            rows.append(replace(row, further=more))
    return tabulate(str(way), rows)


def loaded(scenes: Iterable[Scene]) -> Iterator[tuple[Scene, tuple[Tensor, Tensor, Tensor]]]:
    """Each scene and its pictures, which are read while the scene before is filled and measured."""
    with ThreadPoolExecutor(1) as reader:
        before: tuple[Scene, Future[Any]] | None = None
        for scene in scenes:
            now = scene, reader.submit(scene.load)
            if before:
                yield before[0], before[1].result()
            before = now
        if before:
            yield before[0], before[1].result()


def tabulate(protocol: str, rows: Sequence[Row]) -> Table:
    """The means of `rows`; NaN of none."""
    names = list(rows[0].scores()) if rows else MEASURES
    means = {
        n: Mean().update(torch.tensor([row.scores()[n] for row in rows], dtype=torch.float64)).compute()
        for n in names
    }
    psnr, ssim, ie = (means.pop(n) for n in MEASURES)
    return Table(protocol, psnr, ssim, ie, tuple(rows), means)


def paired(filler: Filler[Any]) -> Filler[Any]:
    """The filler as it is shown one frame on either side.

    Raises:
        TweenError: if it wants others.
    """
    if hasattr(filler, "seeing"):
        return filler.seeing(2)
    if (filler.past, filler.future) != (1, 1):
        raise TweenError("a triplet is filled from one frame before and one after; this model needs others")
    return filler


def moment(scene: Scene) -> Fraction:
    """Where the truth of `scene` lies: 0 at the frame before, 1 at the one after."""
    return Fraction(getattr(scene, "t", HALFWAY))


def fill_middle(
    filler: Filler[Any], before: Tensor, after: Tensor, way: Way, t: Fraction = HALFWAY
) -> Tensor:
    """The frame at `t`, `b 3 h w` in [0, 1], padded, scaled, flipped and cropped as `way` says.

    Raises:
        TweenError: if `way` is recursive and `t` is no k / 2^n.
    """
    padded, (rows, columns) = way.padding.apply(torch.cat((before, after)))
    pair = padded.chunk(2)
    made = _at(filler, *pair, t, way.times)
    if way.tta:
        turned = _at(filler, *(x.flip(-1, -2) for x in pair), t, way.times).flip(-1, -2)
        made = (made + turned) / 2
    return made[..., rows, columns].clamp(0, 1)


def _at(filler: Filler[Any], before: Tensor, after: Tensor, t: Fraction, times: str) -> Tensor:
    """The frame at `t`, straight or by halving the interval that holds it."""
    if times == "direct" or t == HALFWAY:
        return _between(filler, before, after, t)
    if t.denominator & (t.denominator - 1):
        raise TweenError(
            f"halving reaches only times such as 1/2, 1/4 and 3/8, but {t} was asked for; use --times direct"
        )
    middle = _between(filler, before, after, HALFWAY)
    if t < HALFWAY:
        return _at(filler, before, middle, 2 * t, times)
    return _at(filler, middle, after, 2 * t - 1, times)


def _between(filler: Filler[Any], before: Tensor, after: Tensor, t: Fraction) -> Tensor:
    known = torch.stack((before, after), 1)
    whole = Tiled(filler)
    state = whole.begin(known[:, 0].shape, seed=0, device=known.device, dtype=known.dtype)
    made, _ = whole.fill(state, known, ENDS, (t,))
    return made[:, 0].float()


def measure(name: str, made: Tensor, truth: Tensor, way: Way) -> Row:
    """The three measures of one picture `1 3 h w`. Only what was made is rounded: files hold the truth as it is, but
    for sets whose frames are scaled down after reading, where the scripts leave the truth unrounded."""
    seen = levels(made) / 255 if way.rounded else made.double()
    return Row(
        name,
        psnr(seen, truth.double()).item(),
        SSIM[way.ssim](seen, truth.double()).item(),
        interpolation_error(made, truth).item(),
    )


@contextmanager
def full_precision() -> Iterator[None]:
    """Without TF32, whose ten bits move the third decimal."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
