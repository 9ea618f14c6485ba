"""A world to learn in seconds: in a corridor of eight fields, A and D move a square by a field every four frames, up to
the walls; W and S do nothing."""

from typing import NamedTuple

import torch
from torch import Tensor

from tween.models.stream.actions import Actions
from tween.models.stream.config import ActionConfig, Rule, StreamConfig

FIELD, FIELDS = 2, 8
MEAN, SPREAD = 1 / 8, 0.33
WAYS = torch.tensor([0, 0, -1, 1, 0])  # of W, S, A, D and none: fields to the right

CONFIG = StreamConfig(
    channels=4,
    patch=2,
    width=64,
    layers=2,
    heads=2,
    ffn=128,
    rule=Rule(block=1, window=3),
    action=ActionConfig(layers=1, width=32, heads=2, embed=8, modulate=True),
)


class Clip(NamedTuple):
    frames: Tensor
    keys: Tensor
    mouse: Tensor


def draw(where: Tensor) -> Tensor:
    """Frames `b f 1 2 16` of a square on the field `where` (`b f`)."""
    lit = torch.arange(FIELD * FIELDS) // FIELD == where[..., None]
    return lit[:, :, None, None].float().expand(-1, -1, 1, FIELD, -1)


def clips(b: int, frames: int, seed: int) -> Clip:
    """Every four frames another key, or none; at frame 4m the square moves."""
    g = torch.Generator().manual_seed(seed)
    way = torch.tensor([0, 2, 2, 3, 3, 4])[torch.randint(6, (b, -(-frames // 4)), generator=g)]
    where = [torch.randint(FIELDS, (b,), generator=g)]
    for pressed in way.unbind(1):
        where.append((where[-1] + WAYS[pressed]).clamp(0, FIELDS - 1))
    where = torch.stack(where, 1)[:, (torch.arange(frames) + 3) // 4]
    keys = torch.eye(5)[way.repeat_interleave(4, 1)[:, :frames]][..., :4]
    return Clip(draw(where), keys, torch.zeros(b, frames, 2))


class Grouped:
    """The autoencoder of this world, exact: four frames are four channels; the first stands four times."""

    def encode(self, frames: Tensor, cache=None):
        if cache is None:
            frames = torch.cat((frames[:, :1].expand(-1, 3, -1, -1, -1), frames), 1)
        return (frames[:, :, 0].unflatten(1, (-1, 4)) - MEAN) / SPREAD, True

    def decode(self, latents: Tensor, cache=None):
        frames = latents.flatten(1, 2)[:, :, None] * SPREAD + MEAN
        return frames if cache else frames[:, 3:], True


def encode(frames: Tensor) -> Tensor:
    return Grouped().encode(frames)[0]


def place(frames: Tensor) -> Tensor:
    """The field where the light is, `b f`: its centre of mass."""
    light = frames[:, :, 0].clamp(0, 1).sum(2)
    return ((light * torch.arange(FIELD * FIELDS)).sum(-1) / light.sum(-1) - 0.5) / FIELD


def pressing(way: int, b: int, frames: int) -> Actions:
    return Actions(torch.eye(5)[way, :4].expand(b, frames, 4), torch.zeros(b, frames, 2))
