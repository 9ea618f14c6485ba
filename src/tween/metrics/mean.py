"""The mean over pictures, as every interpolation paper reports it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Mean:
    """Values seen so far; `update` returns the next one."""

    total: float | Tensor = 0.0
    count: int = 0

    def update(self, values: Tensor) -> Mean:
        """With `values` (any shape, one per picture) added; stays on their device."""
        return Mean(self.total + values.detach().double().sum(), self.count + values.numel())

    def compute(self) -> float:
        """The mean; NaN of nothing."""
        return float(self.total) / self.count if self.count else float("nan")
