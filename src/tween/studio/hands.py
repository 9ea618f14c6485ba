"""What a player holds down now. There is no queue of actions: a block hears what is true when it is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import torch

from tween.infer.film import full_turn
from tween.infer.world import Actions, World

STALE = 1.0  # seconds: keys of a page that is silent for so long are let go, messages that are so late are not heard
SWEEP = 300.0  # pixels of mouse that turn as far as an arrow key held for a block does
FASTEST = 2.0  # times the speed of an arrow key that a mouse can turn at


@dataclass
class Hands:
    """The newest word of a page.

    A key that was pressed and let go between two blocks counts in the next one, so that no tap is lost, unless another
    was pressed since; the mouse's way since the last block is spread over the next.

    Args:
        world: whose letters and mouse they are.
        clock: seconds.
    """

    world: World
    clock: Callable[[], float] = monotonic
    _held: set[str] = field(default_factory=set)
    _tapped: set[str] = field(default_factory=set)
    _way: tuple[float, float] = (0.0, 0.0)
    _since: float | None = None
    _heard: float = -math.inf
    _newest: float = -math.inf
    _least: float = math.inf

    def hear(self, letters: str, way: tuple[float, float], at: float) -> None:
        """A message: letters held, pixels the mouse went (right, down) since the one before, and the page's clock in
        milliseconds. One that was overtaken, or lay on its way for too long, is dropped."""
        now = self.clock()
        self._least = min(
            self._least, now - at / 1000
        )  # of the quickest message: the page's clock against ours
        if at <= self._newest or now - at / 1000 - self._least > STALE:
            return
        held = {letter for letter in letters.upper() if letter in self.world.mode.letters}
        if held != self._held or any(way):
            self._since = at if self._since is None else self._since
        self._newest, self._heard = at, now
        if new := held - self._held:
            self._tapped = (self._tapped & held) | new
        self._held = held
        self._way = (self._way[0] + way[0], self._way[1] + way[1])

    def drop(self) -> None:
        """Let go of everything: what was done while the world stood still is not heard later."""
        self._held, self._tapped, self._way, self._since = set(), set(), (0.0, 0.0), None

    def take(self) -> tuple[Actions, float | None]:
        """The action of one frame for the next block, and when the page saw the first change that is in it, in
        milliseconds of its clock; None: nothing changed."""
        if self.clock() - self._heard > STALE:
            self._held = set()
        told = self.world.read("".join(sorted(self._held | self._tapped)))
        mouse = told.mouse + self._turn() if self.world.mode.mouse else told.mouse
        since = self._since
        self._tapped, self._way, self._since = set(), (0.0, 0.0), None
        return self.world.actions(told.keys, mouse), since

    def _turn(self) -> torch.Tensor:
        full = full_turn(self.world)
        right, down = (max(-FASTEST, min(FASTEST, x / SWEEP)) * full for x in self._way)
        return torch.tensor([[[-down, right]]])
