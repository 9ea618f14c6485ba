"""The network: velocity of the latents from noisy latents, levels of noise, actions and the seed picture."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.models.stream.actions import Actions, heard_by
from tween.models.stream.cache import Cache
from tween.models.stream.config import StreamConfig
from tween.models.stream.masks import Sight, streamed, whole
from tween.models.stream.net.action import embedding
from tween.models.stream.net.attention import EPS, frequencies, lens, time_lens
from tween.models.stream.net.blocks import Block, Looks, Rings
from tween.models.stream.timeline import HEARD, block_frames

MARKS = 4
"""Channels that mark where the seed picture is: one a frame of a latent."""

WAVE = 256
"""Width of the waves that stand for a level of noise."""


class StreamNet(nn.Module):
    """Block-causal diffusion transformer with actions (Matrix-Game 2, Skywork, 2025).

    Latents see those of their own block, and of earlier blocks as far as `config.rule` says.
    """

    def __init__(self, config: StreamConfig) -> None:
        super().__init__()
        self.config = config
        width, cells = config.width, config.patch**2
        self.embed = nn.Linear((2 * config.channels + MARKS) * cells, width)
        self.level = nn.Sequential(nn.Linear(WAVE, width), nn.SiLU(), nn.Linear(width, width))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.context = _projection(config.context, width) if config.context else None
        self.told = _Told(config) if config.action.modulate else None
        self.blocks = nn.ModuleList(
            Block(config, acts=i < config.action.layers) for i in range(config.layers)
        )
        self.norm = nn.LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.modulate = nn.Parameter(torch.zeros(2, width))
        self.head = nn.Linear(width, config.channels * cells)
        for layer in (self.modulation[1], self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        latents: Tensor,
        level: Tensor,
        actions: Actions,
        image: Tensor | None = None,
        *,
        context: Tensor | None = None,
        clean: Tensor | None = None,
        clean_level: Tensor | None = None,
        cache: Cache | None = None,
    ) -> tuple[Tensor, Cache | None]:
        """Velocity `noise - clean` of each latent.

        Args:
            latents: `b n c h w`: from the beginning of a stream, or with a cache the next block.
            level: `b n`, the share of noise in each latent, 0 to 1.
            actions: of the frames of `latents`.
            image: latent 0 of the seed picture, `b c h w`; where it is all zeros, or None, the network thinks of one.
            context: tokens of the seed picture `b m config.context`; None: none, or those kept in the cache.
            clean: teacher forcing: what the latents were before noise; each block sees the earlier blocks of these.
            clean_level: `b n`, share of noise in `clean`; None: 0.

        Returns:
            velocity `b n c h w`, and the cache, whose rings now hold this pass.

        Raises:
            TweenError: if sizes do not fit the patch, the block, or each other.
        """
        self._check(latents, actions, cache)
        n = latents.shape[1]
        x, heard, looks = self.ready(latents, actions, image, cache, taught=clean is not None)
        if clean is not None:
            x = torch.cat((self._marked(clean, image, first=True), x), 1)
            level = torch.cat((torch.zeros_like(level) if clean_level is None else clean_level, level), 1)
            heard = Actions(heard.keys.repeat(1, 2, 1, 1), heard.mouse.repeat(1, 2, 1, 1))
        if cache is not None and context is not None and cache.seen is None:
            cache = replace(cache, seen=self._pictured(context))
        seen = cache.seen if cache is not None else self._pictured(context)
        rings = None if cache is None else cache.rings
        return self.velocity(x, level, heard, looks, seen, rings, last=n), cache

    def ready(
        self,
        latents: Tensor,
        actions: Actions,
        image: Tensor | None,
        cache: Cache | None,
        *,
        taught: bool = False,
    ) -> tuple[Tensor, Actions, Looks]:
        """The host's part of a pass: the latents, marked, what each hears, and how all look at one another."""
        sight, heard = self._sight(latents.shape[1], actions, latents.device, cache, taught=taught)
        x = self._marked(latents, image, first=cache is None or cache.start == 0)
        return x, heard, self._looks(sight, x)

    def velocity(
        self,
        x: Tensor,
        level: Tensor,
        heard: Actions,
        looks: Looks,
        seen: tuple[tuple[Tensor, Tensor], ...] | None,
        rings: tuple[Rings, ...] | None,
        *,
        last: int,
    ) -> Tensor:
        """The device's part of a pass, of the `last` of the marked latents `x` (`b n 2c+4 h w`): nothing in it is
        decided by values, nor comes from the host."""
        grid, time = self._grid(x), self._time(level, heard)
        x = self.embed(folded(x, self.config.patch)).to(
            self.modulate.dtype
        )  # as blocks leave it: one graph for all
        levels = self.modulation(time).unflatten(-1, (6, -1))
        nothing = (None,) * len(self.blocks)
        for block, picture, ring in zip(self.blocks, seen or nothing, rings or nothing, strict=True):
            x = block(x, levels, heard.keys, heard.mouse, looks, picture, ring)
        shift, scale = (time[:, :, None] + self.modulate)[:, :, :, None].unbind(2)
        v = self.head(self.norm(x[:, -last:]) * (1 + scale[:, -last:]) + shift[:, -last:])
        return unfolded(v, self.config.patch, grid)

    def _grid(self, x: Tensor) -> tuple[int, int]:
        return x.shape[-2] // self.config.patch, x.shape[-1] // self.config.patch

    def _sight(
        self, n: int, actions: Actions, device: torch.device, cache: Cache | None, *, taught: bool
    ) -> tuple[Sight, Actions]:
        if cache is None:
            return whole(n, self.config.rule, device, taught=taught), heard_by(range(n), actions)
        known, first = cache.heard(actions)
        heard = heard_by(range(cache.start, cache.start + n), known, first)
        return streamed(cache.start, self.config.rule, device), heard

    def _looks(self, sight: Sight, x: Tensor) -> Looks:
        """How latents of the height and width of `x` look at one another and at the actions."""
        c, grid = self.config, self._grid(x)
        size = c.action.width // c.action.heads
        return Looks(
            lens(sight, c.rule, c.width // c.heads, grid),
            time_lens(sight, c.rule, size),
            time_lens(sight, c.rule, size, grid[0] * grid[1]),
        )

    def _time(self, level: Tensor, heard: Actions) -> Tensor:
        angle = 1000 * level.float()[..., None] * frequencies(WAVE, level.device)
        time = self.level(torch.cat((angle.cos(), angle.sin()), -1).to(self.head.weight.dtype))
        return time if self.told is None else time + self.told(heard)

    def _pictured(self, context: Tensor | None) -> tuple[tuple[Tensor, Tensor], ...] | None:
        if context is None or self.context is None:
            return None
        tokens = self.context(context)
        return tuple(block.picture.see(tokens) for block in self.blocks)

    def _marked(self, latents: Tensor, image: Tensor | None, *, first: bool) -> Tensor:
        """Latents, marks and the seed picture's latent in one: `b n 2c+4 h w`."""
        b, n, c, h, w = latents.shape
        given = latents.new_zeros(b, n, MARKS + c, h, w)
        if image is not None and first:
            given[:, 0, :MARKS] = (image != 0).flatten(1).any(1)[:, None, None, None].to(latents.dtype)
            given[:, 0, MARKS:] = image.to(latents.dtype)
        return torch.cat((latents, given), 2)

    def _check(self, latents: Tensor, actions: Actions, cache: Cache | None) -> None:
        c, (n, channels, h, w) = self.config, latents.shape[1:]
        if channels != c.channels or h % c.patch or w % c.patch:
            raise TweenError(
                f"this network takes latents of {c.channels} channels whose sides divide by {c.patch}, "
                f"but got {channels} channels and {h} x {w}; use the autoencoder it was trained with"
            )
        if actions.keys.shape[-1] != len(c.mode.keys):
            raise TweenError(
                f"this world has {len(c.mode.keys)} keys ({', '.join(c.mode.keys)}), but got {actions.keys.shape[-1]}"
            )
        if cache is None:
            return
        frames = len(block_frames(cache.start // c.rule.block, c.rule.block))
        if n != c.rule.block or actions.frames != frames:
            raise TweenError(
                f"the block at latent {cache.start} has {c.rule.block} latents and {frames} actions, "
                f"but got {n} and {actions.frames}"
            )


class _Told(nn.Module):
    """What a latent hears, as a shift of its level's embedding."""

    def __init__(self, config: StreamConfig) -> None:
        super().__init__()
        self.embed = embedding(len(config.mode.keys) + 2 * config.mode.mouse, config.action.embed)
        self.out = nn.Linear(HEARD * config.action.embed, config.width)

    def forward(self, heard: Actions) -> Tensor:
        mouse = self.embed[0].in_features > heard.keys.shape[-1]
        told = torch.cat((heard.keys, heard.mouse), -1) if mouse else heard.keys
        return self.out(self.embed(told.to(self.out.weight.dtype)).flatten(2))


def folded(x: Tensor, patch: int) -> Tensor:
    """Tokens `b n s c*patch*patch` of `b n c h w`, rows first."""
    x = x.unflatten(-1, (-1, patch)).unflatten(-3, (-1, patch))
    return x.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)


def unfolded(x: Tensor, patch: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of `folded`, for tokens on `grid`."""
    x = x.unflatten(2, grid).unflatten(-1, (-1, patch, patch))
    return x.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


def _projection(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(inputs),
        nn.Linear(inputs, inputs),
        nn.GELU(),
        nn.Linear(inputs, width),
        nn.LayerNorm(width),
    )
