"""Stable Diffusion's autoencoder of pictures, as diffusers has it: its weights are the user's to bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tween.core import TweenError

TINY = {
    "block_out_channels": (8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": 4,
}
"""A configuration to try things out with: sides are halved once, weights are random."""


class SdVAE(nn.Module):
    """Pictures `b 3 h w` in [0, 1] <-> latents `b 4 h/8 w/8` of about unit size.

    Args:
        vae: diffusers' `AutoencoderKL`.
    """

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae.eval().requires_grad_(False)

    @property
    def channels(self) -> int:
        """Of a latent."""
        return self.vae.config.latent_channels

    @property
    def pixels(self) -> int:
        """Side in pixels of a latent's cell."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    def encode(self, pictures: Tensor) -> Tensor:
        """The likeliest latents.

        Raises:
            TweenError: if sides are no multiples of a latent's cell.
        """
        h, w = pictures.shape[-2:]
        if h % self.pixels or w % self.pixels:
            raise TweenError(
                f"the autoencoder takes sides that are multiples of {self.pixels}, but got {w}x{h}; crop or resize"
            )
        mean = self.vae.encode(pictures.to(self.vae.dtype) * 2 - 1).latent_dist.mode()
        return mean * self.vae.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures, not clamped. A gradient passes through to the latents, though the weights are frozen."""
        return self.vae.decode(latents.to(self.vae.dtype) / self.vae.config.scaling_factor).sample / 2 + 0.5


def open_sd(path: Path | None) -> SdVAE:
    """The autoencoder in a folder that diffusers wrote (`config.json` and weights); None: `TINY` with random weights.

    Raises:
        TweenError: if diffusers is not installed, or there is no autoencoder.
    """
    try:
        from diffusers import AutoencoderKL
    except ImportError:
        raise TweenError(
            "latents of pictures need diffusers, but it is not installed; run pip install 'tween-video[vae]'"
        ) from None
    if path is None:
        return SdVAE(AutoencoderKL(**TINY))
    try:
        return SdVAE(AutoencoderKL.from_pretrained(path, local_files_only=True))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TweenError(
            f"{path} should be a folder with diffusers' AutoencoderKL, but cannot be opened ({reason}); copy it again"
        ) from None
