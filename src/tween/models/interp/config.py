"""What an interpolation network is made of. Every ablation of the thesis plan is one field here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tween.nn.lgs import BlockConfig


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    """The hybrid network of preset `thesis`.

    Attributes:
        phase: 1 blends the two frames as they are; 2 adds flow and context. 3 is 2, trained on larger motion.
        width: d of the finest level; each of the three levels doubles it.
        depths: LGS blocks at each level.
        stem_stride: the finest level is at 1 / stem_stride of the frame.
        merge: how the two frames' features become one picture: summed, which forgets which frame is which, or
            concatenated and projected.
        warp: flow moves context features, or the images that the backbone then sees (which then depends on t).
        flow_only: no backbone: flow, context and refinement alone.
        flow_widths, scale_list: of the flow estimator's blocks, coarse to fine.
        context_width: of the finest context level; each of the three levels doubles it.
    """

    phase: Literal[1, 2, 3] = 2
    width: int = 32
    depths: tuple[int, int, int] = (2, 2, 2)
    block: BlockConfig = field(default_factory=lambda: BlockConfig(drop_path=0.1))
    stem_stride: Literal[1, 2, 4] = 1
    merge: Literal["sum", "concat"] = "sum"
    warp: Literal["feature", "image"] = "feature"
    flow_only: bool = False
    flow_widths: tuple[int, int, int] = (240, 150, 90)
    scale_list: tuple[float, float, float] = (4, 2, 1)
    context_width: int = 32

    @property
    def has_flow(self) -> bool:
        """Whether motion is estimated at all."""
        return self.phase > 1

    @property
    def has_context(self) -> bool:
        """Whether there are context features to warp."""
        return self.has_flow and self.warp == "feature"

    @property
    def has_backbone(self) -> bool:
        """Whether LGS blocks run."""
        return not self.flow_only


THESIS = NetConfig()
"""The thesis plan to the parameter: 8,998,923, and 1,256,064 with phase=1."""


def with_block(config: NetConfig, **fields: Any) -> NetConfig:
    """`config` with some fields of its blocks replaced."""
    return replace(config, block=replace(config.block, **fields))


RELEASED = replace(with_block(THESIS, ssd_fp32=True), phase=3, stem_stride=4)
"""The released one: 9,016,263 parameters; LGS blocks from 1/4 on keep the plan's limits of time at 720p and at 4K."""


def ablations(base: NetConfig = THESIS) -> dict[str, NetConfig]:
    """The experiments of the thesis plan, each one change away from `base`."""
    one = replace(base, phase=1)
    return {
        "exp1a-mamba2-only": with_block(one, backbone="mamba2_only"),
        "exp1b-gated-attn-only": with_block(one, backbone="gated_attn_only"),
        "exp1c-hybrid": one,
        "exp1d-mamba1": with_block(one, mamba=1),
        "exp1e-flip-scan": with_block(one, scan="flip"),
        "exp1e-published-merge": with_block(one, scan="published"),
        "exp1f-se": with_block(one, channel_attention="se"),
        "exp1f-cab": with_block(one, channel_attention="cab"),
        "exp1g-no-gate": with_block(one, gate="none"),
        "exp1g-element-gate": with_block(one, gate="element"),
        "exp1h-mhc": with_block(one, residual="mhc"),
        "exp1h-mhc-seed": with_block(one, residual="mhc", mhc_init="seed"),
        "exp1h-mhc-lite": with_block(one, residual="mhc_lite"),
        "exp1i-window7": with_block(one, window=7),
        "exp1i-window14": with_block(one, window=14),
        "matvlm-b": with_block(one, mamba_layout="matched"),
        "matvlm-c": with_block(one, mamba_layout="d_xb"),
        "merge-concat": replace(one, merge="concat"),
        "stem-stride2": replace(one, stem_stride=2),
        "stem-stride4": replace(one, stem_stride=4),
        "exp2b-image-warp": replace(base, warp="image"),
        "exp2c-feature-warp": base,
        "exp2d-flow-only": replace(base, flow_only=True),
    }
