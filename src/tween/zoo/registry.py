"""What can be loaded by name. To release a network: its weights in weights/, a builder below, one line in `ZOO`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from tween.core import Filler

Build = Callable[[Mapping[str, Tensor], torch.device, torch.dtype, float], Filler[Any]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One name of the zoo.

    Attributes:
        build: (weights, device, dtype, scale) -> Filler; `scale` is the fraction of the frame's size at which motion
            is estimated. None for what `zoo.worlds` opens.
        summary: one line for `tween models`.
        licence: of the weights, as SPDX.
        file: below weights/, in one file or in shards; None for a method that has none.
        sha256: of that file, or of its shards one after the other.
        card: below cards/; None where there are no weights.
        params: number of weights.
        kind: what it is for: `interp` fills between frames, a `world` is walked in, a `vae` makes latents of frames. A
            world's file holds its autoencoder, so a `vae` may name the same one.
        auto: the precision of `auto`; None: fp16 on CUDA, and what a CPU runs quickest.
    """

    build: Build | None = None
    summary: str
    licence: str = "Apache-2.0"
    file: str | None = None
    sha256: str | None = None
    card: str | None = None
    params: int = 0
    kind: Literal["interp", "world", "vae"] = "interp"
    auto: torch.dtype | None = None


def fillers() -> dict[str, Entry]:
    """Those that fill between frames, the default first: what `load` opens."""
    return {name: entry for name, entry in ZOO.items() if entry.kind == "interp"}


def _blend(*_: Any) -> Filler[Any]:
    from tween.models.interp.baselines import Blend

    return Blend()


def _nearest(*_: Any) -> Filler[Any]:
    from tween.models.interp.baselines import Nearest

    return Nearest()


def _dis(*_: Any) -> Filler[Any]:
    from tween.models.interp.baselines import Dis

    return Dis()


def _fast(
    weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, scale: float
) -> Filler[Any]:
    from tween.models.interp.fast import FastNet
    from tween.models.interp.filler import InterpFiller

    net = FastNet()
    net.load_state_dict(weights)
    net.to(device, dtype, memory_format=torch.channels_last)
    if device.type == "cpu":
        net.blocks.float()  # few tokens: bf16 gains nothing there and costs conversions
    return InterpFiller(net, scale=scale)


def _quality(
    weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, scale: float
) -> Filler[Any]:
    from tween.models.interp.filler import InterpFiller
    from tween.models.interp.flips import Flipped
    from tween.models.interp.quality import QualityNet
    from tween.zoo.load import released

    net = QualityNet()
    inside = {
        f"fast.{name}": value for name, value in released("fast").items()
    }  # kept once: it was not trained on
    net.load_state_dict({**inside, **weights})
    net.to(device, dtype, memory_format=torch.channels_last)
    if device.type == "cpu":
        net.fast.blocks.float()
    return Flipped(InterpFiller(net.fast, scale=scale), refined=InterpFiller(net, scale=scale))


def _thesis(
    weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, scale: float
) -> Filler[Any]:
    from tween.models.interp.config import RELEASED
    from tween.models.interp.hybrid_filler import HybridFiller
    from tween.models.interp.net import HybridNet

    net = HybridNet(RELEASED)
    net.load_state_dict(weights)
    return HybridFiller(net.to(device), dtype=dtype, scale=scale)


def _splat(
    weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, scale: float
) -> Filler[Any]:
    from tween.models.splat.config import SplatConfig
    from tween.models.splat.filler import SplatFiller
    from tween.models.splat.net import SplatNet

    config = SplatConfig()
    net = SplatNet(replace(config, area=round(config.area * scale**2)))
    net.load_state_dict(weights)
    return SplatFiller(net.to(device), frames=4, dtype=dtype)


def _impute(
    weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, scale: float
) -> Filler[Any]:
    from tween.models.impute.filler import released
    from tween.zoo.load import load

    return released(weights, load("fast", device=str(device), precision="fp32", scale=scale), device, dtype)


ZOO: dict[str, Entry] = {
    "fast": Entry(
        build=_fast,
        summary="our network, trained; 26.65 dB on 30 hard DAVIS triplets (dis 26.15, minterpolate 25.03, blend 21.91)",
        file="fast.safetensors",
        sha256="5ef2cba1a2dad8027c73e47ddd8eb372d45a59762fbd607e2b8f30b0a44b1078",
        card="fast.md",
        params=1_738_198,
    ),
    "quality": Entry(
        build=_quality,
        summary="fast under four flips, refined, in several times its time; 26.87 dB on 30 hard DAVIS triplets",
        file="quality.safetensors",
        sha256="411b70775111187bec05e745f143e74aec305e41b4e5df69f23f3047bf2569fd",
        card="quality.md",
        params=2_870_675,
    ),
    "thesis": Entry(
        build=_thesis,
        summary="the thesis plan's network after its three phases at a two-hundredth of their length, for researchers; "
        "23.85 dB on 30 hard DAVIS triplets",
        file="thesis.safetensors",
        sha256="dfe5ebbd2fcdc50d840ec36c493797d747f9d505747c8554ebea01cebe015688",
        card="thesis.md",
        params=9_016_263,
    ),
    "splat": Entry(
        build=_splat,
        summary="moving 3-D Gaussians of 4 frames, briefly trained; 2.6 dB above fast on made curved motion, below it "
        "where there are only two frames (26.02 dB on the same triplets)",
        file="splat.safetensors",
        sha256="9f8596c2be4479579deb25d0291e20a3f1f61a3410bad27a02299583c48b474c",
        card="splat.md",
        params=2_450_652,
        auto=torch.float32,
    ),
    "impute": Entry(
        build=_impute,
        summary="fills by fast, then refines in one step; over fast +0.19 dB at gaps of 16, +0.17 dB at gaps of 8, "
        "+0.18 dB at gaps of 4 frames of held-out shots",
        file="impute.safetensors",
        sha256="7b8c9569a74211fa7f2fffe95f889138c5024fbac36cbbe18239412d203d2aac",
        card="impute.md",
        params=2_961_735,
        auto=torch.float32,
    ),
    "doom": Entry(
        kind="world",
        summary="one map of Freedoom to walk through, 128x96 at 17.5 frames a second: obeys 200 of 200 orders, and its "
        "pictures are soft; tween play --world doom",
        file="doom.safetensors",
        sha256="1b27e2aa6402a2eae7652e1bc38c8b1dd3deeee6f35078d479915e1ffc719511",
        card="doom.md",
        params=11_627_820,
    ),
    "vae-small": Entry(
        kind="vae",
        summary="its causal autoencoder of clips, 8x in space, 4x in time, 32 channels; 30.54 dB on held-out episodes",
        file="doom.safetensors",
        sha256="1b27e2aa6402a2eae7652e1bc38c8b1dd3deeee6f35078d479915e1ffc719511",
        card="vae-small.md",
        params=3_373_740,
    ),
    "dis": Entry(build=_dis, summary="OpenCV DIS optical flow, both frames warped and averaged; no learning"),
    "blend": Entry(build=_blend, summary="the two frames faded into one another; no motion"),
    "nearest": Entry(build=_nearest, summary="the nearer frame repeated; nothing new is made"),
}
