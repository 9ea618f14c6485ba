"""The table of an ablation: means and differences to the first row, with confidence over scenes and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tween.evaluate.confidence import Interval, difference, mean

Result = Mapping[str, Any]
HEAD = ("", "what changes", "PSNR, dB", "against the first", "is", "SSIM", "parameters", "steps", "seeds")


@dataclass(frozen=True)
class Line:
    """One row: its PSNR in dB, and by how much that is more than the first row's over the seeds both have."""

    name: str
    about: str
    psnr: Interval
    gain: Interval | None
    ssim: float
    parameters: int
    steps: int

    @property
    def verdict(self) -> str:
        """`none` for a difference inside its confidence, `the same` for the same run under another name; empty for
        the first row, which has nothing to differ from."""
        if self.gain is None:
            return ""
        if self.gain.mean == self.gain.half == 0:
            return "the same"
        return ("better" if self.gain.mean > 0 else "worse") if self.gain.differs else "none"

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of `HEAD`."""
        gain = "" if self.gain is None else bounds(self.gain, "+.2f")
        numbers = (f"{self.ssim:.4f}", f"{self.parameters:,}", f"{self.steps:,}", str(self.psnr.seeds))
        return self.name, self.about, bounds(self.psnr, ".2f"), gain, self.verdict, *numbers


def bounds(interval: Interval, form: str) -> str:
    """A mean and half its interval."""
    return f"{interval.mean:{form}} ± {interval.half:.2f}"


def lines(results: Sequence[Result], order: Sequence[str]) -> list[Line]:
    """One line for each row of `order` that has results; the first of `order` is what others are compared with."""
    by_row = {name: {r["seed"]: r for r in results if r["row"] == name} for name in order}
    base = by_row[order[0]]
    return [line(found, base if name != order[0] else {}) for name, found in by_row.items() if found]


def line(found: Mapping[int, Result], base: Mapping[int, Result]) -> Line:
    """One row's results by seed, and those it is compared with."""
    both = sorted(found.keys() & base.keys())
    some = next(iter(found.values()))
    return Line(
        some["row"],
        some["about"],
        mean([list(scores(r).values()) for r in found.values()]),
        difference([scores(base[s]) for s in both], [scores(found[s]) for s in both]) if both else None,
        sum(r["ssim"] for r in found.values()) / len(found),
        some["parameters"],
        round(sum(r["steps"] for r in found.values()) / len(found)),
    )


def scores(result: Result) -> dict[str, float]:
    """Scene -> PSNR."""
    return {name: values["psnr"] for name, values in result["scenes"].items()}


def markdown(table: Sequence[Line]) -> str:
    """A Markdown table."""
    rule = ["---", "---", *["---:"] * 2, "---", *["---:"] * 4]
    return "\n".join("| " + " | ".join(row) + " |" for row in (HEAD, rule, *(row.cells() for row in table)))


def conditions(results: Sequence[Result]) -> str:
    """What all rows share, in a sentence or two: budget, data, protocol, device, commits."""
    some = results[0]
    s = some["setting"]
    budget = f"{s['minutes']:g} minutes" if s["minutes"] else f"{s['steps']:,} steps"
    seconds = (
        [r["seconds"] for r in results if r["steps"]] if s["minutes"] else []
    )  # of steps, beside anything
    took = f" (measured {min(seconds):.0f} to {max(seconds):.0f} s)" if seconds else ""
    one = (
        " With one seed the intervals do not know how seeds differ."
        if len({r["seed"] for r in results}) == 1
        else ""
    )
    stride = some["facts"].get("stem_stride")
    coarse = f" The finest level is at 1/{stride} of the frame." if stride else ""
    start = some["facts"].get("start")
    begun = f", begun with weights {start} where they fit" if start else ""
    commits = sorted({(r["commit"] or "unknown")[:7] for r in results})
    return (
        f"Each row {budget}{took} on {_all(results, 'device')}: batches of {s['batch_size']} crops of {s['crop']} px, "
        f"{s['precision']}, layered share {s['synthetic']:g} where the row says nothing else{begun}.{coarse} PSNR of "
        f"{len(some['scenes'])} scenes ({some['protocol']}); ± is the 95 % confidence over scenes and seeds, of the "
        f"difference pair by pair.{one} Torch {_all(results, 'torch')}; code at {', '.join(commits)}."
    )


def _all(results: Sequence[Result], name: str) -> str:
    return ", ".join(sorted({r[name] for r in results}))
