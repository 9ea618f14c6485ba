"""A world that turns and walks exactly as keys and mouse say: no network, a panorama that is looked at.

Column x of the panorama has the hue of its heading, so the colour in the middle of a frame tells where one looks, and
how wide that colour is tells how near one has come.
"""

import math
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise

import torch

from tween.infer.world import World
from tween.models.stream.actions import UNIVERSAL, Actions, Mode, read
from tween.models.stream.timeline import block_frames

SIZE = (48, 64)
RATE = Fraction(35, 2)
DEGREES = 25.0  # that a mouse value of 1 turns in a frame
STEP = 0.02  # that a frame of walking brings one nearer


@dataclass(frozen=True)
class Place:
    """Where the player is: `heading` in degrees, `near` 0 at the start; `last` action of the block before."""

    seed: int
    block: int
    heading: torch.Tensor
    height: torch.Tensor
    near: torch.Tensor
    last: Actions | None = None


class Panorama:
    """Renders; `calls` holds the frames of each fill."""

    past, future, multiple, bytes_per_pixel = 1, 0, 8, 0.0

    def __init__(self, block: int = 3, mode: Mode = UNIVERSAL, pause: float = 0.0):
        self.block, self.mode, self.pause, self.calls = block, mode, pause, []

    def begin(self, shape, *, seed, device, dtype):
        zero = torch.zeros(shape[0], dtype=torch.float64, device=device)
        return Place(seed, 0, zero + 37.0 * seed, zero.clone(), zero.clone())

    def frames(self, state):
        return block_frames(state.block, self.block)

    def fill(self, state, known, known_t, query_t, cond=None):
        shown = self.frames(state)
        assert len(query_t) == len(shown) == (len(shown) if cond is None else cond.frames)
        assert known.shape[1] == 1 == len(known_t)
        assert all(b - a == query_t[1] - query_t[0] for a, b in pairwise(query_t))
        self.calls.append(shown)
        self.sleep()
        b = known.shape[0]
        cond = cond or Actions(torch.zeros(b, len(shown), len(self.mode.keys)), torch.zeros(b, len(shown), 2))
        made, place = [], state
        for i, frame in enumerate(shown):
            before = cond[i - 1 : i] if i else place.last
            place = place if before is None or frame == 0 else self.moved(place, before)
            made.append(self.look(place, known.shape[-2:]))
        frames = torch.stack(made, 1).to(known.dtype)
        return frames, replace(place, block=state.block + 1, last=cond[-1:])

    def sleep(self):
        if self.pause:
            time.sleep(self.pause)

    def moved(self, place, action):
        keys, (up, right) = action.keys[:, 0].double(), action.mouse[:, 0].double().unbind(-1)
        walk = keys[:, 0] - keys[:, 1]
        side = keys[:, 3] - keys[:, 2] if keys.shape[1] > 3 else 0.0
        return replace(
            place,
            heading=place.heading + DEGREES * right + side,
            height=place.height + DEGREES * up,
            near=place.near + STEP * walk,
        )

    def look(self, place, size):
        h, w = size
        across = torch.linspace(-0.5, 0.5, w, dtype=torch.float64)[None, None]
        down = torch.linspace(-0.5, 0.5, h, dtype=torch.float64)[None, :, None]
        zoom = torch.exp(-place.near)[:, None, None]
        angle = (place.heading[:, None, None] + 90 * across * zoom) * math.pi / 180
        pitch = place.height[:, None, None] / 90 + down * zoom
        stripes = 0.12 * torch.cos(12 * angle) * torch.cos(6 * pitch)
        hue = torch.stack([torch.cos(angle - 2 * math.pi * k / 3) for k in range(3)], 1)
        floor = torch.where(pitch > 0.15, -0.12, 0.06)
        return (0.5 + 0.3 * hue + (stripes + floor)[:, None]).clamp(0, 1)


def heading(frame):
    """Degrees that the middle of a frame `3 h w` looks to, in [0, 360)."""
    h, w = frame.shape[-2:]
    middle = frame.double()[:, h // 4 : h // 2, w // 2 - 2 : w // 2 + 2].mean((1, 2))
    middle = middle - middle.mean()
    turns = torch.tensor([2 * math.pi * k / 3 for k in range(3)], dtype=torch.float64)
    angle = torch.atan2((middle * turns.sin()).sum(), (middle * turns.cos()).sum())
    return float(torch.rad2deg(angle)) % 360


def spread(frame):
    """Degrees from the left to the right side of a frame: less, the nearer one is."""
    left, right = (heading(frame.roll(shift, 2)) for shift in (frame.shape[2] // 4, -(frame.shape[2] // 4)))
    return (right - left) % 360


def turned(a, b):
    """Degrees from frame `a` to frame `b`, in (-180, 180]; to the right is positive."""
    return -((heading(a) - heading(b) + 180) % 360 - 180)


def picture(seed=0, size=SIZE):
    """A seed picture `3 h w`, in steps of 1/255."""
    filler = Panorama()
    shown = filler.look(filler.begin((1, 3, *size), seed=seed, device="cpu", dtype=None), size)[0]
    return (shown * 255).round().float() / 255


def world(pause=0.0, rate=RATE, size=SIZE, mode=UNIVERSAL, pictures=3, block=3):
    """A world to walk in, whose blocks take `pause` seconds longer to make."""
    return World(
        name="panorama",
        filler=Panorama(block, mode, pause),
        mode=mode,
        actions=Actions,
        read=partial(read, mode=mode),
        rate=rate,
        size=size,
        block=block,
        pictures=[picture(seed, size) for seed in range(pictures)],
    )
