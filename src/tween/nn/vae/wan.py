"""A causal autoencoder of video after Wan 2.1 (arXiv 2503.20314): the first frame is a latent of its own, then every
four frames are one, at an eighth of the size.

What a stream has to remember is a value that `encode` and `decode` return and take again: a session holds it, and two
sessions share one network. Both go latent by latent, so that the same kernels run however a clip is cut: its parts come
out bit for bit as the whole does wherever kernels are deterministic, and memory does not grow with its length.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tween.core import TweenError
from tween.nn.vae.config import WAN, WanConfig
from tween.nn.vae.layers import Attention, Cache, Causal, Down, Each, Head, Residual, Stack, Up, tensors
from tween.nn.vae.linear import Linear


class WanVAE(nn.Module):
    """Frames `b t 3 h w` in [0, 1] <-> latents `b n c h/8 w/8`, n = 1 + (t - 1) / 4.

    `mean` and `std`, `c` each, bring what is encoded to mean 0 and deviation 1; they are measured, not learned.
    Where `config.whiten` is below 1 one deviation stands for all channels.
    """

    def __init__(self, config: WanConfig = WAN) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = encoder(config), decoder(config)
        begin(self)
        self.linear = (
            Linear(config.latent, frames=config.frames, side=config.pixels, whiten=config.whiten)
            if config.linear
            else None
        )
        self.register_buffer("mean", torch.zeros(config.latent))
        self.register_buffer("std", torch.ones(config.latent))
        self.to(memory_format=torch.channels_last)

    def encode(self, frames: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """The likeliest latents, normalised, and the cache for the frames that follow.

        Args:
            frames: `b t 3 h w` in [0, 1]; t = 1 + 4m without cache, 4m with one; h, w multiples of 8.
            cache: what the call for the frames before returned; left as it is.

        Raises:
            TweenError: if `frames` has another shape, or not that of the cache.
        """
        self._check_frames(frames, cache)
        first = int(cache is None)
        groups = [1] * first + [self.config.frames] * ((frames.shape[1] - first) // self.config.frames)
        latents = []
        for group in frames.split(groups, 1):
            mean, _, cache = self.posterior(group, cache)
            latents.append((mean - self._channels(self.mean)) / self._channels(self.std))
        return torch.cat(latents, 1), cache

    def decode(self, latents: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """Frames `b t 3 h w` in [0, 1] and the cache for the latents that follow.

        Args:
            latents: normalised, `b n c h w`; t = 1 + 4(n - 1) without cache, 4n with one.
            cache: what the call for the latents before returned; left as it is.

        Raises:
            TweenError: if `latents` has another shape, or not that of the cache.
        """
        self._check_latents(latents, cache)
        frames = []
        for latent in (latents * self._channels(self.std) + self._channels(self.mean)).split(1, 1):
            made, cache = self.render(latent, cache)
            frames.append(made.clamp(0, 1))
        return torch.cat(frames, 1), cache

    def posterior(self, frames: Tensor, cache: Cache | None = None) -> tuple[Tensor, Tensor, Cache]:
        """Mean and logarithm of the variance of the latents, not normalised, all frames at once: for training."""
        pixels, first = frames.to(self.mean.dtype).transpose(0, 1) * 2 - 1, cache is None
        x = F.pixel_unshuffle(pixels, self.config.patch).contiguous()
        x, cache = self.encoder(channels_last(x), cache)
        mean, log_variance = x.chunk(2, 2)
        if self.linear is not None:
            mean = mean + self.linear.encode(pixels, first=first)
        return mean.transpose(0, 1), log_variance.transpose(0, 1).clamp(-30, 20), cache

    def render(self, latents: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """Frames from latents that are not normalised, all at once and not clamped: for training."""
        latents, first = channels_last(latents.to(self.mean.dtype).transpose(0, 1)), cache is None
        x, cache = self.decoder(latents, cache)
        x = F.pixel_shuffle(x, self.config.patch)
        if self.linear is not None:
            x = x + self.linear.decode(latents, first=first)
        return x.transpose(0, 1) / 2 + 0.5, cache

    def _channels(self, values: Tensor) -> Tensor:
        return values.view(-1, 1, 1)

    def _check_frames(self, frames: Tensor, cache: Cache | None) -> None:
        stride, side, first = self.config.frames, self.config.pixels, int(cache is None)
        t, c, h, w = frames.shape[1:] if frames.ndim == 5 else (0, 0, 0, 0)
        if c != 3 or t < 1 or (t - first) % stride or h % side or w % side:
            count = f"1 + {stride}m" if first else f"{stride}m"
            raise TweenError(
                f"the autoencoder encodes frames (b, t, 3, h, w) with t = {count} and sides that are multiples of "
                f"{side}, but got {tuple(frames.shape)}; cut or pad the clip"
            )
        self._check_cache(frames, cache, self.config.patch)

    def _check_latents(self, latents: Tensor, cache: Cache | None) -> None:
        if latents.ndim != 5 or latents.shape[2] != self.config.latent or not latents.shape[1]:
            raise TweenError(
                f"the autoencoder decodes latents (b, n, {self.config.latent}, h, w) with n of 1 or more, but got "
                f"{tuple(latents.shape)}"
            )
        self._check_cache(latents, cache, 1)

    def _check_cache(self, x: Tensor, cache: Cache | None, patch: int) -> None:
        """The first causal layer's past must be of such pictures as `x`."""
        if cache is None:
            return
        b, _, c, h, w = x.shape
        if tuple(tensors(cache)[0].shape[1:]) != (b, c * patch**2, h // patch, w // patch):
            raise TweenError(
                f"a cache goes on with the batch, the size and the half of the autoencoder that it came from, but got "
                f"{tuple(x.shape)} for another; begin without a cache"
            )


def begin(net: WanVAE) -> None:
    """Weights to train from: every residual branch adds nothing yet, and latents do not drown in their noise."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
    for module in net.modules():
        if isinstance(module, Residual | Attention):
            nn.init.zeros_((module.conv2 if isinstance(module, Residual) else module.proj).weight)
    if net.config.linear:  # which is added to nothing, at first
        nn.init.zeros_(net.encoder[-1].weight)
        nn.init.zeros_(net.decoder[-1].conv.weight)
    nn.init.constant_(net.encoder[-1].bias[net.config.latent :], -6.0)


def channels_last(x: Tensor) -> Tensor:
    """`t b c h w` with the channels of a pixel side by side in memory."""
    return x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, x.shape[:2])


def encoder(config: WanConfig) -> Stack:
    """Frames `t b 3*patch^2 h w` -> `n b 2*latent h w`, mean and logarithm of the variance."""
    widths = [config.width * m for m in config.multipliers]
    layers, c = [Causal(3 * config.patch**2, widths[0])], widths[0]
    for level, width in enumerate(widths):
        for _ in range(config.blocks):
            layers.append(Residual(c, width))
            c = width
        if level < len(config.time):
            layers.append(Down(c, time=config.time[level]))
    layers += [Residual(c, c), Attention(c), Residual(c, c), Head(c, 2 * config.latent)]
    return Stack([*layers, Each(2 * config.latent, 2 * config.latent, 1)])


def decoder(config: WanConfig) -> Stack:
    """Latents `n b latent h w` -> `t b 3*patch^2 h w`."""
    widths = [config.decoder_width * m for m in config.multipliers]
    c = widths[-1]
    layers = [Each(config.latent, config.latent, 1), Causal(config.latent, c)]
    layers += [Residual(c, c), Attention(c), Residual(c, c)]
    for level, width in reversed(list(enumerate(widths))):
        for _ in range(config.blocks + 1):
            layers.append(Residual(c, width))
            c = width
        if level:
            layers.append(Up(c, c // 2, time=config.time[level - 1]))
            c //= 2
    return Stack([*layers, Head(c, 3 * config.patch**2)])
