"""Two results on one set, picture by picture: most of what makes pictures differ is common to both and drops out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tween.core import TweenError
from tween.evaluate.confidence import Interval, difference

LESS_IS_BETTER = ("ie", "lpips")


@dataclass(frozen=True)
class Compared:
    """One measure of two models: both means, and how much greater the second's is."""

    measure: str
    first: float
    second: float
    by: Interval

    @property
    def verdict(self) -> str:
        """`better` or `worse`, of the second; `none` where the confidence does not leave 0 out."""
        if not self.by.differs:
            return "none"
        return "better" if (self.by.mean > 0) != (self.measure in LESS_IS_BETTER) else "worse"


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Compared]:
    """Every measure that both results have.

    Args:
        first, second: what `tween eval --json` wrote.

    Raises:
        TweenError: if they are of different sets, protocols or pictures.
    """
    for what in ("dataset", "protocol"):
        if first[what] != second[what]:
            raise TweenError(
                f"only results of one {what} compare, but these are of {first[what]!r} and {second[what]!r}; "
                f"measure both alike"
            )
    common = [k for k in first["rows"][0] if k != "name" and k in second["rows"][0]]
    return [Compared(k, first[k], second[k], _by(first, second, k)) for k in common]


def _by(first: Mapping[str, Any], second: Mapping[str, Any], key: str) -> Interval:
    one, two = ({row["name"]: row[key] for row in side["rows"]} for side in (first, second))
    return difference([one], [two])
