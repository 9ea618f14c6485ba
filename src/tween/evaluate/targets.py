"""The thesis plan's table of target scores, beside what the papers' numbers make of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tween.core import TweenError

Phase = Literal[1, 2, 3]
DIGITS = {"psnr": 2, "ssim": 4, "ie": 3, "ms": 1}


@dataclass(frozen=True)
class Bound:
    """What has to be reached to pass, and what was hoped for beyond."""

    least: float
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """One row of the plan's table.

    Attributes:
        dataset: as `tween eval` names it, or the frame's size for latency.
        seed: bound of each phase in the plan; a phase without one is a dash there.
        mended: the bounds that the published numbers suggest, where they differ; the same phases.
        vfimamba: what the plan says of VFIMamba, and what its paper or later tables say.
        report: phases in which the plan only wants the number.
    """

    benchmark: str
    metric: str
    dataset: str
    seed: Mapping[int, Bound]
    mended: Mapping[int, Bound] | None = None
    vfimamba: tuple[str, str] = ("-", "-")
    report: tuple[int, ...] = ()

    @property
    def small(self) -> bool:
        """Whether less is better."""
        return self.metric in ("ms", "ie")


def _late(least: float, aim: float | None = None) -> dict[int, Bound]:
    return dict.fromkeys((2, 3), Bound(least, aim))


TARGETS = (
    Target(
        benchmark="Vimeo90K",
        metric="psnr",
        dataset="vimeo",
        seed={1: Bound(35.0, 35.5), **_late(36.0)},
        mended={1: Bound(35.0, 35.5), **_late(35.6, 36.0)},
        vfimamba=("36.40", "36.64"),
    ),
    Target(
        benchmark="Vimeo90K",
        metric="ssim",
        dataset="vimeo",
        seed={1: Bound(0.975), **_late(0.978)},
        vfimamba=("0.9805", "-"),
    ),
    Target(
        benchmark="UCF101",
        metric="psnr",
        dataset="ucf101",
        seed={1: Bound(34.5), **_late(35.0)},
        vfimamba=("35.23", "35.45"),
    ),
    Target(
        benchmark="SNU-FILM Easy",
        metric="psnr",
        dataset="snu-film-easy",
        seed=_late(39.5),
        mended=_late(40.0),
        vfimamba=("39.87", "40.51"),
    ),
    Target(
        benchmark="SNU-FILM Medium",
        metric="psnr",
        dataset="snu-film-medium",
        seed=_late(35.0),
        mended=_late(35.9),
        vfimamba=("35.54", "36.40"),
    ),
    Target(
        benchmark="SNU-FILM Hard",
        metric="psnr",
        dataset="snu-film-hard",
        seed=_late(30.0),
        mended=_late(30.6),
        vfimamba=("30.53", "30.99"),
    ),
    Target(
        benchmark="SNU-FILM Hard",
        metric="ssim",
        dataset="snu-film-hard",
        seed=_late(0.90),
        mended=_late(0.933),  # RIFE's
    ),
    Target(
        benchmark="SNU-FILM Extreme",
        metric="psnr",
        dataset="snu-film-extreme",
        seed=_late(26.0),
        mended=_late(25.3),  # the best published number is 25.83
        vfimamba=("26.46", "25.79"),
    ),
    Target(
        benchmark="SNU-FILM Extreme",
        metric="ssim",
        dataset="snu-film-extreme",
        seed=_late(0.85),
        mended=_late(0.853),  # RIFE's
    ),
    Target(
        benchmark="X-TEST 4K",
        metric="psnr",
        dataset="xtest-4k",
        seed={3: Bound(30.0)},
        mended={3: Bound(30.1)},
        vfimamba=("30.82", "-"),
    ),
    Target(benchmark="X-TEST 4K", metric="ssim", dataset="xtest-4k", seed={3: Bound(0.88)}),
    Target(
        benchmark="X-TEST 2K",
        metric="psnr",
        dataset="xtest-2k",
        seed={3: Bound(33.0)},
        mended={3: Bound(31.5)},  # EMA-VFI has 32.85
        vfimamba=("~34.0", "-"),
    ),
    Target(
        benchmark="MiddleBury",
        metric="ie",
        dataset="middlebury",
        seed={},
        report=(2, 3),
        vfimamba=("1.97", "-"),
    ),
    Target(
        benchmark="Inference (720p)",
        metric="ms",
        dataset="1280x720",
        seed=dict.fromkeys((1, 2), Bound(60.0)),  # twice the plan's 30 ms
        mended=dict.fromkeys((1, 2), Bound(77.0)),  # on one NVIDIA H200
        vfimamba=("~30", "-"),
    ),
    Target(
        benchmark="Inference (4K)",
        metric="ms",
        dataset="3840x2160",
        seed={3: Bound(300.0)},
        vfimamba=("~150", "-"),
    ),
)


@dataclass(frozen=True)
class Line:
    """A row of the table as it is printed."""

    benchmark: str
    metric: str
    measured: str
    seed: str
    verdict: str
    mended: str
    verdict_mended: str
    vfimamba: str


def lines(phase: Phase, results: Sequence[Mapping[str, Any]], model: str | None = None) -> list[Line]:
    """Every row of the table for `phase`.

    Args:
        results: what `tween eval --json` and `tween bench time --json` wrote.
        model: of which model; needed only where the results are of several.

    Raises:
        TweenError: if the results are of several models, or none is of `model`.
    """
    found = scores(results, model)
    out = []
    for target in TARGETS:
        value = found.get((target.dataset, target.metric))
        bounds = [(side or target.seed).get(phase) for side in (target.seed, target.mended)]
        asked = [_words(b, target) if b else "report" if phase in target.report else "-" for b in bounds]
        verdicts = [verdict(value, b, target.small) for b in bounds]
        out.append(
            Line(
                target.benchmark,
                {"ms": "latency, ms"}.get(target.metric, target.metric.upper()),
                "-" if value is None else _number(value, target),
                *(asked[0], verdicts[0], asked[1], verdicts[1]),
                " / ".join(target.vfimamba),
            )
        )
    return out


def verdict(value: float | None, bound: Bound | None, small: bool) -> str:
    """`pass`, `pass (target)` where what was hoped for is reached, `miss`, or a dash where there is nothing to say."""
    if value is None or bound is None:
        return "-"
    sign = -1 if small else 1
    if sign * value < sign * bound.least:
        return "miss"
    return "pass (target)" if bound.aim is not None and sign * value >= sign * bound.aim else "pass"


def scores(results: Iterable[Mapping[str, Any]], model: str | None) -> dict[tuple[str, str], float]:
    """(dataset or size, metric) -> the number of `model`; of two of one kind the later one counts."""
    rows = [row for result in results for row in _rows(result)]
    models = sorted({name for name, *_ in rows})
    if model is None and len(models) > 1:
        raise TweenError(
            f"the results are of {', '.join(models)}; say which one: tween eval MODEL --targets ..."
        )
    if model is not None and model not in models:
        raise TweenError(f"none of the results is of {model!r}; they are of {', '.join(models) or 'nothing'}")
    return {(where, metric): value for name, where, metric, value in rows if model in (None, name)}


def _rows(result: Mapping[str, Any]) -> list[tuple[str, str, str, float]]:
    if "dataset" in result:
        return [(result["model"], result["dataset"], m, result[m]) for m in ("psnr", "ssim", "ie")]
    return [(row["model"], row["size"], "ms", row["ms"]) for row in result["rows"] if "ms" in row]


def read(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The results in files, and in all `.json` files of folders, in the order of their names.

    Raises:
        TweenError: if a file is none of ours.
    """
    files = [f for p in paths for f in (sorted(p.glob("*.json")) if p.is_dir() else [p])]
    return [read_one(file) for file in files]


def read_one(path: Path) -> dict[str, Any]:
    """One result."""
    if not path.is_file():
        raise TweenError(f"{path} is not there; write it by `tween eval --json` or `tween bench time --json`")
    try:
        found = json.loads(path.read_text())
        if isinstance(found["rows"], list) and ("dataset" in found or found["bench"] == "time"):
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise TweenError(
        f"{path} should be what `tween eval --json` or `tween bench time --json` wrote, but is not"
    )


def _number(value: float, target: Target) -> str:
    return f"{value:.{DIGITS[target.metric]}f}"


def _words(bound: Bound, target: Target) -> str:
    sign = "≤" if target.small else "≥"
    return f"{sign} {bound.least:g}" + (f" (target {bound.aim:g})" if bound.aim is not None else "")
