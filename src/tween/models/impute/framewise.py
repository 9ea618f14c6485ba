"""Clips in latents frame by frame: keyframes lie at any times, so each stands for itself, in training as in use."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Codec(Protocol):
    """An autoencoder of clips: frames `b t 3 h w` in [0, 1] <-> latents, and what it remembers."""

    def encode(self, frames: Tensor) -> tuple[Tensor, Any]: ...

    def decode(self, latents: Tensor) -> tuple[Tensor, Any]: ...


def encoded(codec: Codec, clip: Tensor) -> Tensor:
    """Latents `b t c h w` in fp32 of `b t 3 h w` in [0, 1], one of each frame; one frame in memory at a time."""
    return torch.cat([codec.encode(frame)[0].float() for frame in clip.split(1, 1)], 1)


def decoded(codec: Codec, latents: Tensor) -> Tensor:
    """And back."""
    return torch.cat([codec.decode(latent)[0].float() for latent in latents.split(1, 1)], 1)
