"""What the autoencoder is made of. Every layer takes frames and what it left in the call before, and returns both.

Frames are `t b c h w` in here, time first and channels last in memory: then three frames stacked in channels are three
slices, and a convolution over time is one in two dimensions, for which CPUs and GPUs have their best code. What a layer
leaves (`past`) is a tensor `k b c h w` of the k frames that its convolution has to see again, a tuple of these, or None
for a layer that looks at one frame at a time. Before the first frame there is no past: None is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Past = Any
Cache = tuple[Past, ...]


def joined(first: Tensor, then: Tensor, dim: int = 0) -> Tensor:
    """`first` before `then`, in time (0) or in channels (1 of a folded frame); channels stay last in memory."""
    return torch.cat((first.flatten(0, 1), then.flatten(0, 1)), dim).unflatten(0, (-1, first.shape[1]))


class Each(nn.Conv2d):
    """A convolution of each frame for itself."""

    def forward(self, x: Tensor, past: None = None) -> tuple[Tensor, None]:
        return super().forward(x.flatten(0, 1)).unflatten(0, (-1, x.shape[1])), None


class Causal(nn.Conv2d):
    """A convolution over `kernel` x `kernel` pixels of a frame and of the two before it, zeros before the first.

    Its weight is `out 3*in kernel kernel`, oldest frame first: that of a convolution in three dimensions, unrolled.

    Args:
        every: frames per frame that comes out; 2 halves the rate.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, *, every: int = 1) -> None:
        super().__init__(3 * c_in, c_out, kernel, padding=kernel // 2)
        self.every = every

    def forward(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        keep = 3 - self.every
        x = joined(x.new_zeros(keep, *x.shape[1:]) if past is None else past, x)
        end = len(x) - 2
        taps = torch.cat([x[k : end + k : self.every].flatten(0, 1) for k in range(3)], 1)
        return super().forward(taps).unflatten(0, (-1, x.shape[1])), x[-keep:].clone()


class Norm(nn.Module):
    """Each pixel's channels divided by their root mean square, times a gain a channel."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(c))

    def forward(self, x: Tensor) -> Tensor:
        gamma = self.gamma.to(
            x.dtype
        )  # which autocast leaves alone; of two types, the fused kernel is not taken
        return F.rms_norm(x.movedim(2, -1), gamma.shape, gamma, 1e-12).movedim(-1, 2)


class Residual(nn.Module):
    """Norm, SiLU, causal convolution, twice, added to the input."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = Norm(c_in), Causal(c_in, c_out)
        self.norm2, self.conv2 = Norm(c_out), Causal(c_out, c_out)
        self.shortcut = None if c_in == c_out else Each(c_in, c_out, 1)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        first, second = past or (None, None)
        y, first = self.conv1(F.silu(self.norm1(x)), first)
        y, second = self.conv2(F.silu(self.norm2(y)), second)
        return y + (x if self.shortcut is None else self.shortcut(x)[0]), (first, second)


class Attention(nn.Module):
    """One head over the pixels of each frame, added to the input."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm = Norm(c)
        self.to_qkv, self.proj = nn.Linear(c, 3 * c), nn.Linear(c, c)

    def forward(self, x: Tensor, past: None = None) -> tuple[Tensor, None]:
        tokens = self.norm(x).movedim(2, -1).flatten(0, 1).flatten(1, 2)[:, None]
        seen = F.scaled_dot_product_attention(*self.to_qkv(tokens).chunk(3, -1))
        return x + self.proj(seen)[:, 0].view(*x.movedim(2, -1).shape).movedim(-1, 2), None


class Head(nn.Module):
    """Norm, SiLU, causal convolution."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.norm, self.conv = Norm(c_in), Causal(c_in, c_out)

    def forward(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.conv(F.silu(self.norm(x)), past)


class Down(nn.Module):
    """Half the size and, with `time`, half the rate: the first frame for itself, then two become one."""

    def __init__(self, c: int, *, time: bool) -> None:
        super().__init__()
        self.conv = Each(c, c, 3, stride=2)
        self.time_conv = Causal(c, c, 1, every=2) if time else None

    def forward(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x, _ = self.conv(F.pad(x, (0, 1, 0, 1)))
        return (x, None) if self.time_conv is None else self.slower(x, past)

    def slower(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """`1 + 2m` frames become `1 + m`; with a past, `2m` become `m`."""
        if past is not None:
            return self.time_conv(x, past)
        first, rest = x[:1], x[1:]
        if not len(rest):
            return first, first.clone()
        rest, past = self.time_conv(rest, first)
        return joined(first, rest), past


class Up(nn.Module):
    """Twice the size and, with `time`, twice the rate: the first frame stays one, and no other looks at it."""

    def __init__(self, c_in: int, c_out: int, *, time: bool) -> None:
        super().__init__()
        self.time_conv = Causal(c_in, 2 * c_in, 1) if time else None
        self.conv = Each(c_in, c_out, 3, padding=1)

    def forward(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self.time_conv is not None:
            x, past = self.faster(x, past)
        wide = F.interpolate(x.flatten(0, 1), scale_factor=2.0, mode="nearest-exact")
        return self.conv(wide.unflatten(0, x.shape[:2]))[0], past

    def faster(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """`1 + m` frames become `1 + 2m`; with a past, `m` become `2m`."""
        if past is None:
            first, rest, past = x[:1], x[1:], x.new_zeros(2, *x.shape[1:])
            if not len(rest):
                return first, past
            rest, past = self.faster(rest, past)
            return joined(first, rest), past
        x, past = self.time_conv(x, past)
        pairs = x.movedim(2, -1).unflatten(-1, (2, -1)).movedim(-2, 1)
        return pairs.flatten(0, 1).movedim(-1, 2), past


class Stack(nn.ModuleList):
    """Layers one after the other; their pasts are a tuple, the cache."""

    def forward(self, x: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        left = []
        for layer, past in zip(self, repeat(None) if cache is None else cache, strict=False):
            x, past = layer(x, past)
            left.append(past)
        return x, tuple(left)


def tensors(cache: Past) -> list[Tensor]:
    """Every tensor of a cache, in the order the layers run."""
    if isinstance(cache, Sequence):
        return [tensor for past in cache for tensor in tensors(past)]
    return [] if cache is None else [cache]


def cache_bytes(cache: Cache) -> int:
    """What a cache takes of memory; the same after every call."""
    return sum(tensor.nbytes for tensor in tensors(cache))
