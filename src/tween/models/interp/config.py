"""What an interpolation network is made of. Every ablation of the thesis plan is one field here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """One LGS block.

    Attributes:
        backbone: both branches, or only one of them.
        mamba: Mamba2 (state-space duality), or Mamba1 (selective scan).
        mamba_layout: `standard`; `matched` and `d_xb` are plans B and C of MaTVLM's initialisation.
        scan: two frames interleaved in one sequence, or each frame for itself.
        channel_attention: ECA; squeeze-excitation; VFIMamba's convolutional CAB.
        gate: on the attention output: none, one a head, one a channel.
        residual: fusion and plain residual, or hyper-connections by Sinkhorn or by permutations.
        mhc_init: `seed` is the plan to the letter, whose H_res cannot learn; `live` can.
        window: attention window in tokens; sizes that it does not divide are padded.
        head_dim: of the attention, so heads = width / head_dim.
        drop_path: probability of dropping a block's branch for a sample in training.
    """

    backbone: Literal["hybrid", "mamba2_only", "gated_attn_only"] = "hybrid"
    mamba: Literal[1, 2] = 2
    mamba_layout: Literal["standard", "matched", "d_xb"] = "standard"
    scan: Literal["interleaved", "flip"] = "interleaved"
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
    mlp_ratio: int = 4
    drop_path: float = 0.0
