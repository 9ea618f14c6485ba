"""Fillers that tell what is asked of them, and clips to give them."""

from dataclasses import dataclass, field
from fractions import Fraction

import torch

from tween.core import Frame


@dataclass
class Linear:
    """Blends; counts calls, and the frames whose features its state did not bring along."""

    past: int = 1
    future: int = 1
    multiple: int = 1
    bytes_per_pixel: float = 0.0
    calls: list[tuple[Fraction, ...]] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    encoded: int = 0
    begun: int = 0

    def begin(self, shape, *, seed, device, dtype):
        self.begun += 1
        return {}

    def fill(self, state, known, known_t, query_t, cond=None):
        assert known.shape[1] == self.past + self.future == len(known_t)
        assert known.shape[-1] % self.multiple == known.shape[-2] % self.multiple == 0
        features = {t: state.pop(t, None) for t in known_t}
        assert not state, "a state of other frames"
        self.encoded += sum(f is None for f in features.values())
        self.calls.append(tuple(query_t))
        self.shapes.append(tuple(known.shape))
        a, b = known_t[self.past - 1], known_t[self.past]
        left, right = known[:, self.past - 1], known[:, self.past]
        made = [left.lerp(right, float((t - a) / (b - a))) for t in query_t]
        return torch.stack(made, 1), {known_t[-1]: "features"}


@dataclass
class Short(Linear):
    """Has no memory left from call number `after` on."""

    after: int = 0

    def fill(self, state, known, known_t, query_t, cond=None):
        if len(self.calls) >= self.after:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return super().fill(state, known, known_t, query_t, cond)


def clip(times, size=(16, 24), channels=3):
    """Frames of a slope that shifts and a mean that tells the frame's index."""
    h, w = size
    slope = torch.linspace(0, 0.5, w).expand(channels, h, w)
    times = [Fraction(t) for t in times]
    return [
        Frame(time=t, rgb=(slope.roll(i, 2) + i / 2 / len(times)).clamp(0, 1)) for i, t in enumerate(times)
    ]
