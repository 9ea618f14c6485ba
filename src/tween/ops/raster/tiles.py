"""Compositing by tiles in plain PyTorch, the backward pass written out: memory never grows as pixels x Gaussians.

Within a tile, alpha of a pixel is exp of a quadratic in its place, so that all alphas of many tiles are one matrix
product and the gradients of the six coefficients another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from tween.ops.raster.lists import Lists, groups, intersect, members
from tween.ops.raster.projection import LEAST, MOST, Projected
from tween.ops.raster.reference import DARK
from tween.ops.raster.scene import Camera

BUDGET = {"cpu": 2**18, "cuda": 2**24}  # elements of a block: what stays in cache, and what fills a GPU
NOTHING = -1e30  # log opacity of the Gaussian that pads a list


def composite(seen: Projected, channels: Tensor, camera: Camera, side: int) -> Tensor:
    """`composite_reference`, shapes and values, by tiles of `side` px."""
    lists = intersect(seen, camera, side)
    return from_tiles(_Composite.apply(packed(seen), channels.flatten(0, 1), lists), lists, camera)


def packed(seen: Projected) -> Tensor:
    """`bn 6`: x, y, the conic's xx, xy, yy, and the log of opacity."""
    visible = (seen.extent > 0).all(-1)
    opacity = torch.where(visible, seen.opacity, 1.0)
    return torch.cat((seen.xy, seen.conic, opacity.log()[..., None]), -1).flatten(0, 1)


def from_tiles(tiles: Tensor, lists: Lists, camera: Camera) -> Tensor:
    """`tiles k side*side` -> `b k h w`."""
    grid = tiles.view(lists.batch, lists.rows, lists.columns, -1, lists.side, lists.side)
    whole = grid.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return whole[..., : camera.height, : camera.width].contiguous()


class _Composite(torch.autograd.Function):
    """Gaussians `bn 6` (of `packed`), channels `bn k` -> `tiles k side*side`."""

    @staticmethod
    def forward(ctx: Any, gaussians: Tensor, channels: Tensor, lists: Lists) -> Tensor:
        out = channels.new_zeros(len(lists.start) - 1, channels.shape[1], lists.side**2)
        rows, colours = with_nobody(gaussians, channels)
        for tiles, steps in groups(lists, BUDGET[out.device.type]):
            for block in _front_to_back(rows, lists, tiles, steps):
                out.index_add_(0, tiles, torch.bmm(F.embedding(block.ids, colours).mT, block.weight))
        ctx.save_for_backward(gaussians, channels, out)
        ctx.lists = lists
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, None]:
        gaussians, channels, out = ctx.saved_tensors
        rows, colours = with_nobody(gaussians, channels)
        d_rows, d_colours = torch.zeros_like(rows), torch.zeros_like(colours)
        basis = quadratic(ctx.lists.side, gaussians)
        for tiles, steps in groups(ctx.lists, BUDGET[out.device.type]):
            d = d_out[tiles]
            behind = (d * out[tiles]).sum(1, keepdim=True)  # what the pixel owes to all that is yet to come
            for block in _front_to_back(rows, ctx.lists, tiles, steps):
                ids = block.ids.flatten()
                d_colours.index_add_(0, ids, torch.bmm(block.weight, d.mT).flatten(0, 1))
                own = torch.bmm(F.embedding(block.ids, colours), d).mul_(block.weight)
                later = behind - own.cumsum(1)
                behind = later[:, -1:].clone()
                d_power = own.sub_(later.mul_(block.odds)).mul_(block.free)
                d_rows.index_add_(0, ids, moments(d_power @ basis.T, block.near).flatten(0, 1))
        return d_rows[:-1], d_colours[:-1], None


class _Block(NamedTuple):
    """A slice of the lists of t tiles.

    Attributes:
        ids: `t l`; the Gaussian after the last is nobody.
        near: `t l 6`, the Gaussians with x and y from their tile's middle.
        weight: `t l p`, alpha times the light that arrives.
        odds: `t l p`, alpha / (1 - alpha).
        free: `t l p`, 1 where alpha is drawn and not cut at `MOST`.
    """

    ids: Tensor
    near: Tensor
    weight: Tensor
    odds: Tensor
    free: Tensor


def with_nobody(gaussians: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
    """Both with one row more, of the Gaussian that pads lists and is never seen."""
    rows = F.pad(gaussians, (0, 0, 0, 1))
    rows[-1, -1] = NOTHING
    return rows, F.pad(channels, (0, 0, 0, 1))


def _front_to_back(
    rows: Tensor, lists: Lists, tiles: Tensor, steps: list[tuple[int, int]]
) -> Iterator[_Block]:
    basis = quadratic(lists.side, rows)
    middle = torch.stack((tiles % lists.columns, tiles // lists.columns % lists.rows), -1)
    middle = (middle.to(rows) + 0.5) * lists.side
    light = rows.new_ones(len(tiles), 1, lists.side**2)
    for begin, end in steps:
        ids = members(lists, tiles, begin, end, len(rows) - 1)
        near = F.embedding(ids, rows)  # rows[ids], four times as fast on a CPU
        near[..., :2] -= middle[:, None]
        alpha = (coefficients(near) @ basis).exp_().clamp_max_(MOST)
        alpha = F.threshold_(alpha, LEAST, 0.0)
        through = 1 - alpha
        odds = alpha / through
        after = through.cumprod(1).mul_(light)
        light = after[:, -1:].clone()
        free = after.gt(DARK).to(after)
        weight = after.mul_(odds).mul_(free)
        yield _Block(ids, near, weight, odds, free.mul_(alpha < MOST))
        if end < steps[-1][1] and light.amax() <= DARK:
            return


def quadratic(side: int, like: Tensor) -> Tensor:
    """`6 p`: 1, x, y, xx, yy, xy of a tile's pixels, from its middle."""
    axis = torch.arange(side, device=like.device, dtype=like.dtype) + 0.5 - side / 2
    y, x = (t.flatten() for t in torch.meshgrid(axis, axis, indexing="ij"))
    return torch.stack((torch.ones_like(x), x, y, x * x, y * y, x * y))


def coefficients(near: Tensor) -> Tensor:
    """`... 6`: log alpha as a quadratic of the place in the tile."""
    x, y, xx, xy, yy, log_opacity = near.unbind(-1)
    along_x, along_y = xx * x + xy * y, xy * x + yy * y
    constant = log_opacity - 0.5 * (along_x * x + along_y * y)
    return torch.stack((constant, along_x, along_y, -0.5 * xx, -0.5 * yy, -xy), -1)


def moments(m: Tensor, near: Tensor) -> Tensor:
    """Gradients of `near` from those of its coefficients, `... 6` both."""
    x, y, xx, xy, yy, _ = near.unbind(-1)
    one, mx, my, mxx, myy, mxy = m.unbind(-1)
    dx = xx * (mx - x * one) + xy * (my - y * one)
    dy = xy * (mx - x * one) + yy * (my - y * one)
    dxx = -0.5 * (mxx - 2 * x * mx + x * x * one)
    dyy = -0.5 * (myy - 2 * y * my + y * y * one)
    dxy = -(mxy - x * my - y * mx + x * y * one)
    return torch.stack((dx, dy, dxx, dxy, dyy, one), -1)
