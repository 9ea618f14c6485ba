"""How sure a mean and a difference of means are, when the same scenes were filled by networks of several seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tween.core import TweenError

LEVEL = 0.95


class Scored(Protocol):
    """A row of a table: one picture, its name and its measures."""

    name: str
    psnr: float


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that holds the true one with probability `level`; no bounds from one value alone."""

    mean: float
    low: float
    high: float
    scenes: int
    seeds: int
    level: float = LEVEL

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 0 out; a difference that does not is none."""
        return self.low > 0 or self.high < 0

    @property
    def half(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


def mean(scores: Sequence[Sequence[float]], *, level: float = LEVEL) -> Interval:
    """The mean of `scores` (seeds x scenes) with its confidence over both: other seeds and other scenes.

    Scenes and seeds are crossed random effects, so the variance of the mean is that of the scenes' means, plus that
    of the seeds' means, less what both count (the residual): V = (MS_scenes + MS_seeds - MS_rest) / n, but never less
    than either alone. Degrees of freedom after Satterthwaite (Biometrics Bulletin 1946). With one seed, or one
    scene, it is Student's interval over the other. Two seeds tell little of how seeds differ: where they differ as
    much as scenes, an interval said to hold 95 % of the time holds about 90 %; three or more seeds mend that.

    Raises:
        TweenError: if the rows are empty or of several lengths.
    """
    if not len(scores) or not len(scores[0]) or len({len(row) for row in scores}) > 1:
        raise TweenError(
            "confidence needs the same scenes, one or more, for every seed; measure them all again"
        )
    x = np.asarray(scores, dtype=np.float64)
    (seeds, scenes), middle = x.shape, float(x.mean())
    variance, freedom = _variance(x)
    half = student(level, freedom) * math.sqrt(variance) if freedom else math.inf
    return Interval(middle, middle - half, middle + half, scenes, seeds, level)


def paired(
    a: Sequence[Sequence[Scored]],
    b: Sequence[Sequence[Scored]],
    *,
    key: str = "psnr",
    level: float = LEVEL,
) -> Interval:
    """How much greater `key` is in `b` than in `a`: pair by pair of the same scene and seed.

    Args:
        a, b: rows of each seed, as in `Table.rows`; `[table.rows]` for a model of one seed.

    Raises:
        TweenError: if the two have no scene in common in every seed, or another number of seeds.
    """
    if len(a) != len(b):
        raise TweenError(f"a paired comparison needs as many seeds of both, but got {len(a)} and {len(b)}")
    one, two = ([{row.name: getattr(row, key) for row in rows} for rows in side] for side in (a, b))
    return difference(one, two, level=level)


def difference(
    a: Sequence[Mapping[str, float]], b: Sequence[Mapping[str, float]], *, level: float = LEVEL
) -> Interval:
    """`mean` of b - a over what both have: scene name -> score, one mapping a seed."""
    common = set.intersection(*(set(scores) for scores in (*a, *b)))
    if not common or any(set(scores) != common for scores in (*a, *b)):
        raise TweenError(
            f"a paired comparison needs the same scenes of both, but only {len(common)} are in all; measure again"
        )
    names = sorted(common)
    return mean([[y[n] - x[n] for n in names] for x, y in zip(a, b, strict=True)], level=level)


def _variance(x: np.ndarray) -> tuple[float, float]:
    """Variance of the mean of `x` (seeds x scenes) and its degrees of freedom, 0 where there is no telling."""
    seeds, scenes = x.shape
    rows, columns = x.mean(1, keepdims=True), x.mean(0, keepdims=True)
    free = (seeds - 1, scenes - 1, (seeds - 1) * (scenes - 1))
    squares = (
        scenes * ((rows - x.mean()) ** 2).sum(),
        seeds * ((columns - x.mean()) ** 2).sum(),
        ((x - rows - columns + x.mean()) ** 2).sum(),
    )
    of_seeds, of_scenes, rest = (s / f if f else 0.0 for s, f in zip(squares, free, strict=True))
    parts = {(0, 1, 2): of_seeds + of_scenes - rest, (0,): of_seeds, (1,): of_scenes}
    sources = max(parts, key=parts.__getitem__)
    total = parts[sources]
    terms = [
        (m**2, f)
        for k, (m, f) in enumerate(zip((of_seeds, of_scenes, rest), free, strict=True))
        if k in sources
    ]
    spread = sum(m2 / f for m2, f in terms if f)
    return total / x.size, total**2 / spread if spread else float(max(free))


def student(level: float, freedom: float) -> float:
    """The t below which |t| stays with probability `level`, for 1 or more degrees of freedom, whole or not.

    With t = sqrt(freedom) tan(angle) the density is cos(angle)^(freedom - 1), without tails.
    """
    angle = np.linspace(0.0, np.pi / 2, 200_001)
    density = np.cos(angle) ** (freedom - 1)
    share = np.concatenate(([0.0], np.cumsum(density[1:] + density[:-1])))
    return math.sqrt(freedom) * math.tan(np.interp(level, share / share[-1], angle))
