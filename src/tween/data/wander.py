"""What a player without a plan presses: keys held for seconds, keys and mouse mixed, and random ones.

The actions are those of Matrix-Game-2's `universal` mode: keys (W, S, A, D) = (forward, back, step left, step right),
mouse = (vertical, horizontal), up and right positive, and 0.1 is what an arrow key gives. In degrees a frame a mouse
value is `DEGREES` times as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tween.data.episodes import DEGREES

KINDS = {
    "held": (18, 54),
    "mixed": (6, 30),
    "random": (1, 6),
}  # least and greatest length of a hold, in frames
STILL = (0, 0, 0, 0)
WALKS = {
    (1, 0, 0, 0): 0.6,
    (0, 1, 0, 0): 0.1,
    (0, 0, 1, 0): 0.07,
    (0, 0, 0, 1): 0.07,
    (1, 0, 1, 0): 0.06,
    (1, 0, 0, 1): 0.06,
    (0, 1, 1, 0): 0.02,
    (0, 1, 0, 1): 0.02,
}  # keys and their share
ARROW, QUICKEST = 0.1, 0.2  # mouse values a frame
CARE = 200.0  # map units; a player is 32 wide
AIMS = (0.0, 8.0, -8.0, 16.0, -16.0, 24.0, -24.0)  # degrees above the horizon that one may come to look at


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What is pressed, and for how many frames more.

    Attributes:
        keys: W, S, A, D.
        yaw: mouse value, to the right.
        aim: degrees above the horizon that the eyes are on their way to.
        legs, eyes: frames left of the keys, and of yaw and aim.
        care: who walks forward turns away this far from a wall; at 0, having run into it.
    """

    keys: tuple[int, ...] = STILL
    yaw: float = 0.0
    aim: float = 0.0
    legs: int = 0
    eyes: int = 0
    care: float = 0.0

    def mouse(self, pitch: float) -> tuple[float, float]:
        """(vertical, horizontal) of a player who looks `pitch` degrees up."""
        return min(max((self.aim - pitch) / DEGREES, -ARROW), ARROW), self.yaw


def following(
    hold: Hold, kind: str, *, view: tuple[float, float, float], blocked: bool, rng: np.random.Generator
) -> Hold:
    """What is pressed in the next frame.

    Args:
        kind: of `KINDS`. "held" changes keys and mouse together, the others each by itself.
        view: map units to what is seen on the left, ahead and on the right.
        blocked: the keys have led nowhere for some frames.
    """
    left, ahead, right = view
    if blocked or (hold.keys[0] and ahead < hold.care):
        away = int(rng.integers(6, 19))
        side = ARROW if right > left else -ARROW
        return Hold(yaw=side, aim=hold.aim, legs=away, eyes=away)
    keys, legs, yaw, aim, eyes, care = hold.keys, hold.legs - 1, hold.yaw, hold.aim, hold.eyes - 1, hold.care
    low, high = KINDS[kind]
    length = int(rng.integers(low, high + 1)) if legs < 1 or eyes < 1 else 0
    if legs < 1:
        still = rng.random() < (0.3 if kind == "held" else 0.15)
        keys, legs, care = STILL if still else _walk(rng), length, float(rng.uniform(0, CARE))
    if eyes < 1:
        yaw, aim = (0.0, 0.0) if kind == "held" and rng.random() < 0.5 else _look(rng)
        eyes = length if kind == "held" else int(rng.integers(low, high + 1))
    return Hold(keys=keys, yaw=yaw, aim=aim, legs=legs, eyes=eyes, care=care)


def _walk(rng: np.random.Generator) -> tuple[int, ...]:
    return list(WALKS)[rng.choice(len(WALKS), p=list(WALKS.values()))]


def _look(rng: np.random.Generator) -> tuple[float, float]:
    """Yaw and aim: an arrow key, a mouse or neither; now and then up or down."""
    arrow, mouse = ARROW * float(rng.choice((-1, 1))), float(rng.uniform(-QUICKEST, QUICKEST))
    yaw = (arrow, mouse, 0.0)[rng.choice(3, p=(0.5, 0.25, 0.25))]
    return yaw, float(rng.choice(AIMS)) if rng.random() < 0.2 else 0.0
