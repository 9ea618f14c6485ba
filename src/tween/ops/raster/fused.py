"""Compositing on a GPU: the kernels as one differentiable function, and their launch."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tween.core import TweenError
from tween.ops.raster.lists import Lists, intersect
from tween.ops.raster.projection import LEAST, MOST, Projected
from tween.ops.raster.reference import DARK
from tween.ops.raster.scene import Camera
from tween.ops.raster.tiles import from_tiles, packed

FORWARD = {"G": 16, "num_warps": 2}  # Gaussians of a block; registers hold block x pixels
BACKWARD = {"G": 16, "num_warps": 4}
TRITON = find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # kernels then run on the CPU, for tests


def composite_fused(seen: Projected, channels: Tensor, camera: Camera, side: int) -> Tensor:
    """`composite` by the kernels, in fp32.

    Raises:
        TweenError: on another type, tiles of more than 32 px, without CUDA or without Triton.
    """
    if channels.dtype != torch.float32 or side > 32:
        raise TweenError(
            f"backend 'triton' renders float32 in tiles of at most 32 px, but got {channels.dtype} and {side} px; "
            "take backend 'torch'"
        )
    if not (TRITON and (channels.is_cuda or INTERPRETED)):
        raise TweenError(
            f"backend 'triton' needs Triton and Gaussians on CUDA, but Triton is {'' if TRITON else 'not '}installed "
            f"and they are on {channels.device}; take backend 'auto'"
        )
    lists = intersect(seen, camera, side)
    return from_tiles(_Fused.apply(packed(seen), channels.flatten(0, 1), lists), lists, camera)


class _Fused(torch.autograd.Function):
    """Gaussians `bn 6`, channels `bn k` -> `tiles k side*side`.

    The gradients of a Gaussian are written once a tile and then summed by torch, so that its deterministic mode rules.
    """

    @staticmethod
    def forward(ctx: Any, gaussians: Tensor, channels: Tensor, lists: Lists) -> Tensor:
        from tween.ops.raster import kernel

        gaussians, channels = gaussians.contiguous(), channels.contiguous()
        out = channels.new_empty(len(lists.start) - 1, channels.shape[1], lists.side**2)
        arguments = (gaussians, channels, lists.ids, lists.start, out)
        kernel.forward[len(out),](
            *arguments, *_sizes(lists, channels), **_constants(lists, channels), **FORWARD
        )
        ctx.save_for_backward(gaussians, channels, out)
        ctx.lists = lists
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, None]:
        from tween.ops.raster import kernel

        (gaussians, channels, out), lists = ctx.saved_tensors, ctx.lists
        m = len(lists.ids)
        d_pairs, d_channels = gaussians.new_zeros(m, 6), channels.new_zeros(m, channels.shape[1])
        arguments = (
            gaussians,
            channels,
            lists.ids,
            lists.start,
            out,
            d_out.contiguous(),
            d_pairs,
            d_channels,
        )
        kernel.backward[len(out),](
            *arguments, *_sizes(lists, channels), **_constants(lists, channels), **BACKWARD
        )
        return (
            torch.zeros_like(gaussians).index_add_(0, lists.ids, d_pairs),
            torch.zeros_like(channels).index_add_(0, lists.ids, d_channels),
            None,
        )


def _sizes(lists: Lists, channels: Tensor) -> tuple[int, int, int]:
    return lists.rows, lists.columns, channels.shape[1]


def _constants(lists: Lists, channels: Tensor) -> dict[str, Any]:
    wide = {"BP": lists.side**2, "BK": channels.shape[1]}
    blocks = {name: max(16, 1 << (size - 1).bit_length()) for name, size in wide.items()}
    limits = {"LEAST": LEAST, "MOST": MOST, "DARK": DARK}
    return {"SIDE": lists.side, **blocks, **limits, "PRECISION": "tf32x3"}
