"""A causal video autoencoder, streamed by an explicit cache: our small one, and Wan 2.1's by conversion."""

from tween.nn.vae.config import SMALL, WAN, WanConfig
from tween.nn.vae.layers import Cache, cache_bytes
from tween.nn.vae.wan import WanVAE

__all__ = ["SMALL", "WAN", "Cache", "WanConfig", "WanVAE", "cache_bytes"]
