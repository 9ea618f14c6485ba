"""Mamba2 over pictures: one state-space branch that scans tokens of any number of frames in four directions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.ops.scan2d import flip_scan2d, published_scan2d, scan2d
from tween.ops.ssd import ssd

SCANS = {"interleaved": scan2d, "published": published_scan2d, "flip": flip_scan2d}


def no_decay(parameter: nn.Parameter) -> nn.Parameter:
    """Mark a parameter that the optimiser must not shrink towards zero (Mamba2's A, D and dt bias)."""
    parameter._no_weight_decay = True
    return parameter


def dt_bias(count: int, *, low: float = 1e-3, high: float = 1e-1, floor: float = 1e-4) -> Tensor:
    """Inverse softplus of log-uniform step sizes in [low, high] (Mamba2's initialisation)."""
    dt = torch.exp(torch.rand(count) * (math.log(high) - math.log(low)) + math.log(low)).clamp(min=floor)
    return dt + torch.log(-torch.expm1(-dt))


def causal_conv(x: Tensor, conv: nn.Conv1d, reverse: bool) -> Tensor:
    """Depthwise causal convolution along l. Reverse sees the future instead: padded right, taps flipped.

    Args:
        x: `b l c`.
    Returns:
        `b l c`, before the activation.
    """
    width, length = conv.kernel_size[0], x.shape[1]
    taps = conv.weight[:, 0].to(x.dtype)
    taps = taps.flip(1) if reverse else taps
    x = F.pad(x, (0, 0, 0, width - 1) if reverse else (0, 0, width - 1, 0))
    out = conv.bias.to(x.dtype)
    for k in range(width):  # four multiply-adds on channels-last tokens; a compiler makes one kernel of them
        out = torch.addcmul(out, x[:, k : k + length], taps[:, k])
    return out


class Mamba2Branch(nn.Module):
    """One Mamba2, shared by four scan directions over f frames.

    The projections are pointwise and shared, so they run once; each direction has its own causal convolution,
    state-space scan, gate and norm, and their sum is projected out. That equals running four Mamba2 over four
    copies, at a quarter of the memory and of the projection work.

    `in_proj` rows are [z | x | B | C | dt] as in mamba_ssm. `groups` heads of B and C are shared by the heads of x.
    With `d_xb` (MaTVLM's layout) x and B are that wide and repeated, and every head has a C of its own.
    """

    def __init__(
        self,
        d: int,
        *,
        d_state: int = 64,
        d_conv: int = 4,
        expand: int = 2,
        headdim: int = 64,
        groups: int = 1,
        d_xb: int | None = None,
        scan: str = "interleaved",
        chunk: int = 64,
        fp32: bool = False,
    ) -> None:
        super().__init__()
        self.fp32 = fp32
        self.d_inner, self.d_state, self.headdim, self.chunk = expand * d, d_state, headdim, chunk
        self.heads = self.d_inner // headdim
        self.scan = SCANS[scan]
        x, b, c = self.d_inner, groups * d_state, groups * d_state
        if d_xb is not None:
            x, b, c = d_xb, d_xb, self.heads * d_state
        self.widths = (x, b, c)
        self.in_proj = nn.Linear(d, self.d_inner + x + b + c + self.heads, bias=False)
        self.conv = nn.Conv1d(x + b + c, x + b + c, d_conv, groups=x + b + c)
        self.dt_bias = no_decay(nn.Parameter(dt_bias(self.heads)))
        self.A_log = no_decay(nn.Parameter(torch.empty(self.heads).uniform_(1, 16).log()))
        self.D = no_decay(nn.Parameter(torch.ones(self.heads)))
        self.norm = nn.Parameter(torch.ones(self.d_inner))
        self.out_proj = nn.Linear(self.d_inner, d, bias=False)

    def direction(self, tokens: Tensor, reverse: bool) -> Tensor:
        """One scan over projected tokens `b l (z|x|B|C|dt)` -> gated, normalised `b l d_inner`."""
        z, xbc, dt = tokens[..., : self.in_proj.out_features].split(
            [self.d_inner, sum(self.widths), self.heads], dim=-1
        )
        x, B, C = F.silu(causal_conv(xbc, self.conv, reverse)).split(self.widths, dim=-1)
        x = repeat_heads(x.unflatten(-1, (-1, self.headdim)), self.heads)
        C = C.unflatten(-1, (-1, self.d_state))
        B = repeat_heads(B.unflatten(-1, (-1, self.d_state)), C.shape[2])
        dt = F.softplus(dt.float() + self.dt_bias.float())
        A = -torch.exp(self.A_log.float())
        x = x.float() if self.fp32 else x  # B and C follow
        y = ssd(x, dt, A, B, C, self.D.float(), chunk=self.chunk, reverse=reverse).flatten(2)
        gated = (y * F.silu(z)).float()
        return F.rms_norm(gated, (self.d_inner,), self.norm.float(), eps=1e-5).to(tokens.dtype)

    def project(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f (z|x|B|C|dt)`, on a GPU filled up to a multiple of 16: the odd number of columns that
        one head's dt makes costs it twice the time of the product, and unaligned rows behind it."""
        spare = -self.in_proj.out_features % 16 if x.is_cuda else 0
        return F.linear(x, F.pad(self.in_proj.weight, (0, 0, 0, spare))) if spare else self.in_proj(x)

    def forward(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f d`."""
        return self.out_proj(self.scan(self.project(x), self.direction))


def repeat_heads(x: Tensor, heads: int) -> Tensor:
    """`b l g p` -> `b l heads p`, each group serving heads / g heads in a row."""
    return x if x.shape[2] == heads else x.repeat_interleave(heads // x.shape[2], dim=2)
