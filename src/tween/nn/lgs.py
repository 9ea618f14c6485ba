"""The local-global synergistic (LGS) block: a Mamba2 branch and a gated window-attention branch, fused.

Every block takes and returns tokens of f frames, `b h w f d`: the interleaved raster scan of all frames is then a free
view, and so is each frame's own picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.core import TweenError
from tween.nn.mamba2 import SCANS, Mamba2Branch, causal_conv, dt_bias, no_decay
from tween.nn.mhc import HyperConnection
from tween.ops.attention import window_attention
from tween.ops.selective_scan import selective_scan


@dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """One LGS block.

    Attributes:
        backbone: both branches, or only one of them.
        mamba: Mamba2 (state-space duality), or Mamba1 (selective scan).
        mamba_layout: `standard`; `matched` and `d_xb` are plans B and C of MaTVLM's initialisation.
        scan: all frames interleaved in one sequence; the same with the misplaced columns of the code released with
            VFIMamba (`published`); or each frame for itself.
        channel_attention: ECA; squeeze-excitation; VFIMamba's convolutional CAB.
        gate: on the attention output: none, one a head, one a channel.
        residual: fusion and plain residual, or hyper-connections by Sinkhorn or by permutations.
        mhc_init: `seed` is the plan to the letter, whose H_res cannot learn; `live` can.
        window: attention window in tokens; sizes that it does not divide are padded.
        head_dim: of the attention, so heads = width / head_dim.
        ssd_fp32: Mamba2's scan takes fp32 also under autocast, as the plan has it; without, its decays and states are
            fp32 and its products in the type of the tokens.
        drop_path: probability of dropping a block's branch for a sample in training.
    """

    backbone: Literal["hybrid", "mamba2_only", "gated_attn_only"] = "hybrid"
    mamba: Literal[1, 2] = 2
    mamba_layout: Literal["standard", "matched", "d_xb"] = "standard"
    scan: Literal["interleaved", "published", "flip"] = "interleaved"
    channel_attention: Literal["eca", "se", "cab"] = "eca"
    gate: Literal["none", "head", "element"] = "head"
    residual: Literal["plain", "mhc", "mhc_lite"] = "plain"
    mhc_init: Literal["live", "seed"] = "live"
    window: int = 8
    head_dim: int = 16
    d_state: int = 64
    d_conv: int = 4
    expand: int = 2
    headdim: int = 64
    chunk: int = 64
    ssd_fp32: bool = False
    mlp_ratio: int = 4
    drop_path: float = 0.0


class Mamba1Branch(nn.Module):
    """Mamba1 (selective scan, diagonal A) in the same four shared directions: the ablation of Mamba2."""

    def __init__(
        self, d: int, *, d_state: int = 16, d_conv: int = 4, expand: int = 2, scan: str = "interleaved"
    ) -> None:
        super().__init__()
        self.d_inner, self.d_state, self.rank = expand * d, d_state, math.ceil(d / 16)
        self.scan = SCANS[scan]
        self.in_proj = nn.Linear(d, 2 * self.d_inner, bias=False)
        self.conv = nn.Conv1d(self.d_inner, self.d_inner, d_conv, groups=self.d_inner)
        self.x_proj = nn.Linear(self.d_inner, self.rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(self.rank, self.d_inner)
        nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        with torch.no_grad():
            self.dt_proj.bias.copy_(dt_bias(self.d_inner))
        no_decay(self.dt_proj.bias)
        A = torch.arange(1, d_state + 1, dtype=torch.float32).repeat(self.d_inner, 1)
        self.A_log = no_decay(nn.Parameter(A.log()))
        self.D = no_decay(nn.Parameter(torch.ones(self.d_inner)))
        self.out_proj = nn.Linear(self.d_inner, d, bias=False)

    def direction(self, tokens: Tensor, reverse: bool) -> Tensor:
        """One scan over projected tokens `b l (z|x)` -> gated `b l d_inner`."""
        z, x = tokens.chunk(2, dim=-1)
        x = F.silu(causal_conv(x, self.conv, reverse))
        low, B, C = self.x_proj(x).split([self.rank, self.d_state, self.d_state], dim=-1)
        delta = F.softplus(self.dt_proj(low).float())
        y = selective_scan(x, delta, -torch.exp(self.A_log.float()), B, C, self.D.float(), reverse=reverse)
        return y.to(z.dtype) * F.silu(z)

    def forward(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f d`."""
        return self.out_proj(self.scan(self.in_proj(x), self.direction))


class GatedWindowAttention(nn.Module):
    """Self-attention within windows of one frame, times a sigmoid gate of the same input, then the projection.

    Gated Attention (Qiu et al., arXiv:2505.06708): `head` has one gate a head, `element` one a channel.
    """

    def __init__(self, d: int, heads: int, window: int, shift: int = 0, gate: str = "none") -> None:
        super().__init__()
        self.heads, self.window, self.shift, self.kind = heads, window, shift, gate
        self.qkv = nn.Linear(d, 3 * d)
        self.gate = None if gate == "none" else nn.Linear(d, {"head": heads, "element": d}[gate])
        self.proj = nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f d`; the frames do not see each other."""
        frames = x.movedim(3, 1).flatten(0, 1)
        q, k, v = self.qkv(frames).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        gate = None if self.gate is None else self.gate(frames).unflatten(-1, (self.heads, -1))
        y = window_attention(q, k, v, window=self.window, shift=self.shift, gate=gate)
        return self.proj(y.flatten(-2)).unflatten(0, (-1, x.shape[3])).movedim(1, 3)


class ECA(nn.Module):
    """Efficient channel attention (Wang et al., 2020): a 1-D convolution over the pooled channels."""

    def __init__(self, d: int) -> None:
        super().__init__()
        t = int(abs((math.log2(d) + 1) / 2))
        width = t if t % 2 else t + 1
        self.conv = nn.Conv1d(1, 1, width, padding=width // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f d`."""
        pooled = x.mean((1, 2))
        scale = self.conv(pooled.flatten(0, 1)[:, None]).sigmoid()
        return x * scale.view(x.shape[0], 1, 1, x.shape[3], -1)


class SE(nn.Module):
    """Squeeze and excitation (Hu et al., 2018): two layers over the pooled channels, at least 4 hidden units."""

    def __init__(self, d: int, ratio: int = 4) -> None:
        super().__init__()
        hidden = max(d // ratio, 4)
        self.net = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, d), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f d`."""
        return x * self.net(x.mean((1, 2)))[:, None, None]


class CAB(nn.Module):
    """Channel attention block of VFIMamba: two convolutions through d / 3 channels, then SE with ratio 30."""

    def __init__(self, d: int, compress: int = 3, squeeze: int = 30) -> None:
        super().__init__()
        hidden = d // compress
        self.convs = nn.Sequential(
            nn.Conv2d(d, hidden, 3, padding=1), nn.GELU(), nn.Conv2d(hidden, d, 3, padding=1)
        )
        self.se = SE(d, squeeze)

    def forward(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f d`."""
        frames = self.convs(x.permute(0, 3, 4, 1, 2).flatten(0, 1))
        return self.se(frames.unflatten(0, (-1, x.shape[3])).permute(0, 3, 4, 1, 2))


CHANNEL_ATTENTION: dict[str, Callable[[int], nn.Module]] = {"eca": ECA, "se": SE, "cab": CAB}


def mamba_branch(d: int, c: BlockConfig) -> nn.Module:
    """The state-space branch that `c` asks for, at width `d`."""
    if c.mamba == 1:
        return Mamba1Branch(d, d_conv=c.d_conv, expand=c.expand, scan=c.scan)
    heads = d // c.head_dim
    layout = {
        "standard": {"d_state": c.d_state, "expand": c.expand, "headdim": c.headdim},
        "matched": {"d_state": c.head_dim, "expand": 1, "headdim": c.head_dim, "groups": heads},
        "d_xb": {"d_state": c.head_dim, "expand": c.expand, "headdim": c.head_dim, "d_xb": d},
    }[c.mamba_layout]
    return Mamba2Branch(d, d_conv=c.d_conv, scan=c.scan, chunk=c.chunk, fp32=c.ssd_fp32, **layout)


class LGSBlock(nn.Module):
    """x + ECA(fuse(mamba(n), attention(n))), then x + MLP(norm(x)); mHC replaces fusion and first residual."""

    def __init__(self, d: int, config: BlockConfig, *, shifted: bool = False) -> None:
        super().__init__()
        c = config
        if d % c.head_dim or (c.mamba_layout == "standard" and c.expand * d % c.headdim):
            raise TweenError(
                f"an LGS block needs a width that head_dim {c.head_dim} divides, and headdim {c.headdim} its "
                f"{c.expand}-fold, but got width {d}; change the width or the head sizes"
            )
        self.drop_path = c.drop_path
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        branches = []
        if c.backbone != "gated_attn_only":
            branches.append(mamba_branch(d, c))
        if c.backbone != "mamba2_only":
            shift = c.window // 2 if shifted else 0
            branches.append(GatedWindowAttention(d, d // c.head_dim, c.window, shift, c.gate))
        self.branches = nn.ModuleList(branches)
        self.channel = CHANNEL_ATTENTION[c.channel_attention](d)
        plain = c.residual == "plain"
        self.mhc = None if plain else HyperConnection(1 + len(branches), kind=c.residual, init=c.mhc_init)
        self.fuse = nn.Linear(d * len(branches), d) if plain and len(branches) > 1 else nn.Identity()
        self.mlp = nn.Sequential(nn.Linear(d, c.mlp_ratio * d), nn.GELU(), nn.Linear(c.mlp_ratio * d, d))

    def drop(self, x: Tensor) -> Tensor:
        """Stochastic depth: in training, the branch of some samples is zero and the others are scaled up."""
        if not self.training or self.drop_path == 0:
            return x
        keep = 1 - self.drop_path
        return x * x.new_empty(x.shape[0], 1, 1, 1, 1).bernoulli_(keep) / keep

    def forward(self, x: Tensor) -> Tensor:
        """`b h w f d` -> `b h w f d`."""
        n = self.norm1(x)
        made = [branch(n) for branch in self.branches]
        if self.mhc is None:
            x = x + self.drop(self.channel(self.fuse(torch.cat(made, dim=-1))))
        else:
            x = self.mhc([x, *made], self.channel)
        return x + self.drop(self.mlp(self.norm2(x)))
