"""An autoencoder small enough for a test, in a file as `tween train vae` leaves it."""

from pathlib import Path

import torch

from tween.engine import checkpoint
from tween.nn.vae import WanConfig, WanVAE
from tween.zoo.worlds import plain

TINY = WanConfig(latent=4, width=4, decoder_width=4, multipliers=(1, 2, 2), blocks=1, time=(True, True))


def codec(path: Path, seed: int = 0, config: WanConfig = TINY) -> WanVAE:
    """Random weights whose latents tell pictures apart."""
    torch.manual_seed(seed)
    net = WanVAE(config).eval().requires_grad_(False)
    values = {f"weights/vae.{name}": value for name, value in net.state_dict().items()}
    checkpoint.write(path, values, {"step": 1, "config": {"configs": {"vae": plain(config)}}})
    return net
