"""Clips in latents frame by frame: keyframes lie at any times, so each stands for itself, in training as in use."""

from __future__ import annotations

import torch
from torch import Tensor

from tween.nn.vae import WanVAE


def encoded(codec: WanVAE, clip: Tensor) -> Tensor:
    """Latents `b t c h w` in fp32 of `b t 3 h w` in [0, 1], one of each frame; one frame in memory at a time."""
    return torch.cat([codec.encode(frame)[0].float() for frame in clip.split(1, 1)], 1)


def decoded(codec: WanVAE, latents: Tensor) -> Tensor:
    """And back."""
    return torch.cat([codec.decode(latent)[0].float() for latent in latents.split(1, 1)], 1)
