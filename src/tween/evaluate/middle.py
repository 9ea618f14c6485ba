"""The middle frame of each triplet against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from tween.core import Filler, TweenError
from tween.evaluate.protocols import Protocol as Way
from tween.infer.tile import Tiled
from tween.metrics import Mean, interpolation_error, psnr, ssim_matlab

ENDS, HALFWAY = (Fraction(0), Fraction(1)), (Fraction(1, 2),)


class Scene(Protocol):
    """A triplet of a dataset."""

    name: str

    def load(self) -> tuple[Tensor, Tensor, Tensor]:
        """(before, truth, after), each `3 h w` in [0, 1]."""
        ...


@dataclass(frozen=True)
class Row:
    """One picture: PSNR in dB, SSIM, interpolation error in grey levels."""

    name: str
    psnr: float
    ssim: float
    ie: float


@dataclass(frozen=True)
class Table:
    """Means over the pictures (each picture counts alike) and the rows they come from."""

    protocol: str
    psnr: float
    ssim: float
    ie: float
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        scores = f"PSNR {self.psnr:.3f} dB, SSIM {self.ssim:.4f}, IE {self.ie:.3f}"
        return f"{scores} over {len(self.rows)} pictures ({self.protocol})"

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def middle_frames(
    filler: Filler[Any],
    scenes: Iterable[Scene],
    way: Way,
    *,
    device: torch.device | str = "cpu",
) -> Table:
    """Fill the middle of every scene and measure it as `way` says.

    Args:
        filler: with one frame before and one after.
        device: where the filler's network is.
    """
    if (filler.past, filler.future) != (1, 1):
        raise TweenError("a triplet is filled from one frame before and one after; this model needs others")
    rows = []
    with torch.inference_mode(), full_precision():
        for scene in scenes:
            before, truth, after = (x[None].to(device) for x in scene.load())
            rows.append(measure(scene.name, fill_middle(filler, before, after, way), truth, way.rounded))
    names = ("psnr", "ssim", "ie")
    means = [Mean().update(torch.tensor([getattr(r, n) for r in rows])).compute() for n in names]
    return Table(str(way), *means, tuple(rows))


def fill_middle(filler: Filler[Any], before: Tensor, after: Tensor, way: Way) -> Tensor:
    """The frame halfway, `b 3 h w` in [0, 1], padded and cropped as `way` says."""
    padded, (rows, columns) = way.pad(torch.cat((before, after)))
    known = torch.stack(padded.chunk(2), 1)
    whole = Tiled(filler)
    state = whole.begin(known[:, 0].shape, seed=0, device=known.device, dtype=known.dtype)
    made, _ = whole.fill(state, known, ENDS, HALFWAY)
    return made[:, 0, :, rows, columns].float().clamp(0, 1)


def measure(name: str, made: Tensor, truth: Tensor, rounded: bool) -> Row:
    """All three measures of one picture `1 3 h w`."""
    return Row(
        name,
        psnr(made, truth, rounded=rounded).item(),
        ssim_matlab(made, truth, rounded=rounded).item(),
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
