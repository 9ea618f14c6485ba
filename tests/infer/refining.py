"""A filler of several keyframes that refines: it tells what it was given, draws by its seed, and takes text."""

from dataclasses import dataclass, field

import torch

from tests.infer.fakes import Linear
from tween.core import TweenError


@dataclass
class Refining(Linear):
    """Linear, and then a little of what was drawn, and of the text, is added to every frame it makes."""

    past: int = 2
    future: int = 2
    most: int = 100
    told: list = field(default_factory=list)
    text: bool = True

    @property
    def coarse(self):
        return Linear(past=self.past, future=self.future)

    def condition(self, given, text):
        if text is not None and not self.text:
            raise TweenError("this model takes no text; leave the text embedding out")
        return tuple(given), text

    def begin(self, shape, *, seed, device, dtype):
        self.seed = seed
        return super().begin(shape, seed=seed, device=device, dtype=dtype)

    def fill(self, state, known, known_t, query_t, cond=None):
        self.told.append((tuple(known_t), tuple(query_t), cond))
        made, _ = super().fill({}, known, known_t, query_t)
        drawn = torch.rand(made.shape, generator=torch.Generator().manual_seed(self.seed))
        words = 0.0 if cond[1] is None else cond[1].mean()
        return made * 0.8 + 0.1 * drawn + 0.1 * words, {}
