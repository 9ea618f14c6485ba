"""Clips and paths made on the spot, for recipes that a CPU trains in under a minute."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

KINDS = ("square", "disc", "cross")
COLOURS = ((0.9, 0.2, 0.2), (0.2, 0.8, 0.3), (0.3, 0.4, 0.95))
ROOMS = 5
CELLS = 2 * ROOMS + 1


def shapes(n: int, *, t: int = 9, side: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Clips `n t 3 side side` uint8 of one shape that flies and bounces off the walls, and its class `n`: three shapes
    in three colours, nine classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(KINDS) * len(COLOURS), n)
    radius = side / 6
    at = rng.uniform(radius, side - radius, (n, 1, 2))
    move = rng.uniform(-1, 1, (n, 1, 2)) * side / 6
    room = side - 2 * radius
    there = np.abs((at - radius + move * np.arange(t)[None, :, None]) % (2 * room) - room)  # a triangle wave
    places = radius + there
    grid = np.arange(side) + 0.5
    y, x = (grid[:, None] - places[..., 1, None, None]), (grid[None, :] - places[..., 0, None, None])
    x, y = np.broadcast_arrays(abs(x), abs(y))
    bars = np.minimum(np.maximum(x, 2 * y), np.maximum(2 * x, y))
    far = np.stack([np.maximum(x, y), np.hypot(x, y), bars])
    distance = np.take_along_axis(far, (labels // len(COLOURS))[None, :, None, None, None], 0)[0]
    cover = np.clip(radius - distance + 0.5, 0, 1)[:, :, None]
    colour = np.asarray(COLOURS)[labels % len(COLOURS)][:, None, :, None, None]
    frames = (0.1 * (1 - cover) + colour * cover) * 255
    return torch.from_numpy(frames.round().astype(np.uint8)), torch.from_numpy(labels)


def maze(seed: int) -> np.ndarray:
    """Walls `CELLS CELLS` bool of a maze of `ROOMS` by `ROOMS` rooms, each reachable from each on one way (depth-first
    search)."""
    rng = np.random.default_rng(seed)
    walls = np.ones((CELLS, CELLS), bool)
    walls[1, 1] = False
    stack = [(1, 1)]
    while stack:
        y, x = stack[-1]
        near = [(y + dy, x + dx) for dy, dx in ((0, 2), (2, 0), (0, -2), (-2, 0))]
        near = [(v, u) for v, u in near if 0 < v < CELLS and 0 < u < CELLS and walls[v, u]]
        if not near:
            stack.pop()
            continue
        v, u = near[rng.integers(len(near))]
        walls[v, u] = walls[(y + v) // 2, (x + u) // 2] = False
        stack.append((v, u))
    return walls


def paths(n: int, *, mazes: int = 3, t: int = 33, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Ways `n t 2 1 1` through mazes, (y, x) in [0, 1], from one room to another without detour and at even pace, and
    the maze of each `n`. As clips of one pixel they are filled and refined like any other."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, mazes, n)
    plans = [maze(i) for i in range(mazes)]
    found = np.stack([_even(_way(plans[i], rng), t) for i in labels])
    return torch.from_numpy(((found + 0.5) / CELLS).astype(np.float32))[..., None, None], torch.from_numpy(
        labels
    )


def in_walls(ways: Tensor, labels: Tensor) -> float:
    """Share of the points of ways `n t 2 1 1` that lie in a wall of their maze."""
    plans = torch.from_numpy(np.stack([maze(i) for i in range(int(labels.max()) + 1)]))
    cell = (ways[..., 0, 0].cpu() * CELLS).floor().long().clamp(0, CELLS - 1)
    return float(plans[labels.cpu()[:, None], cell[..., 0], cell[..., 1]].float().mean())


def _way(walls: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells `m 2` from one room to another, at least three steps away."""
    while True:
        begin, end = (tuple(2 * rng.integers(0, ROOMS, 2) + 1) for _ in range(2))
        before, todo = {begin: begin}, [begin]
        for y, x in todo:
            for cell in ((y, x + 1), (y + 1, x), (y, x - 1), (y - 1, x)):
                if not walls[cell] and cell not in before:
                    before[cell] = (y, x)
                    todo.append(cell)
        way = [end]
        while way[-1] != begin:
            way.append(before[way[-1]])
        if len(way) > 3:
            return np.asarray(way[::-1], float)


def _even(way: np.ndarray, t: int) -> np.ndarray:
    at = np.linspace(0, len(way) - 1, t)
    return np.stack([np.interp(at, np.arange(len(way)), way[:, axis]) for axis in (0, 1)], 1)
