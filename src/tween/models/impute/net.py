"""One-step refiners: from a coarse fill to what it should have been, in one pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tween.core import TweenError
from tween.models.impute.config import PatchConfig, Trunk, VideoConfig
from tween.models.impute.mix import VIEWS, Mix, shown, views
from tween.models.impute.trunk import Net

TOLD = 8
"""Values a pixel that the transformer tells a `Mix`."""


class PatchRefiner(nn.Module):
    """Of pictures as patches, `b n d`."""

    def __init__(self, config: PatchConfig | None = None) -> None:
        super().__init__()
        self.config = config or PatchConfig()
        values, trunk = self.config.values, self.config.trunk
        self.ends = Ends(values, values, trunk, silent=trunk.residual)
        self.net = Net(self.config.trunk)
        rows, columns = self.config.grid
        self.register_buffer("places", grid(rows, columns), persistent=False)

    def forward(
        self,
        tokens: Tensor,
        known: Tensor,
        label: Tensor,
        level: Tensor,
        alpha: Tensor,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Refined patches `b n d`.

        Args:
            tokens: `b n d`, the coarse fill, row by row.
            known: `b n` bool, patches that are given.
            label, level, alpha, noise: see `Told`.
        """
        rows, columns = self.config.grid
        if tokens.shape[1:] != (rows * columns, self.config.values):
            raise TweenError(
                f"this refiner takes {rows}x{columns} patches of {self.config.values} values, but got "
                f"{tuple(tokens.shape)}; cut the picture so"
            )
        told = self.net.told(label, level, alpha, noise, None)
        made = self.ends(tokens, known, self.net, self.places, told).to(tokens.dtype)
        made = tokens + made if self.config.trunk.residual else made
        return torch.where(known[..., None], tokens, made) if self.config.trunk.clamp else made


class VideoRefiner(nn.Module):
    """Of clips `b t c h w`, pictures or latents."""

    def __init__(self, config: VideoConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or VideoConfig()
        seen, made = ((1 + VIEWS) * c.channels, TOLD) if c.mix else (c.channels, c.channels)
        self.ends = Ends(seen * c.patch**2, made * c.patch**2, c.trunk, silent=c.trunk.residual and not c.mix)
        self.net = Net(c.trunk)
        self.mix = Mix(c.channels, c.mix, TOLD, c.reach) if c.mix else None

    def forward(
        self,
        latents: Tensor,
        known: Tensor,
        label: Tensor | None = None,
        level: Tensor | None = None,
        alpha: Tensor | None = None,
        noise: Tensor | None = None,
        text: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        """Refined clip `b t c h w`.

        Args:
            latents: `b t c h w`, the coarse fill; h, w multiples of `patch`.
            known: `b t` bool, frames that are given.
            label: None: no class is known.
            level: None: the share of frames that are missing.
            alpha: None: 1, no guidance.
            noise, text: see `Told`.
            times: `t`, in frames of the clips it was trained on; None: 0, 1, 2...
        """
        b, t, c, h, w = latents.shape
        p = self.config.patch
        if c != self.config.channels or h % p or w % p:
            raise TweenError(
                f"this refiner takes {self.config.channels} channels and sides that are multiples of {p}, but got "
                f"{tuple(latents.shape)}; cut or pad the clip"
            )
        at = torch.arange(t, device=latents.device) if times is None else times.to(latents.device)
        places = volume(at, h // p, w // p)
        label = known.new_full((b,), self.config.trunk.classes, dtype=torch.long) if label is None else label
        level = 1 - known.float().mean(1) if level is None else level
        alpha = torch.ones_like(level) if alpha is None else alpha
        told = self.net.told(label, level, alpha, noise, text)
        others = views(latents, known, at) if self.mix else None
        seen = latents if others is None else shown(latents, others)
        given = known.repeat_interleave(h * w // p**2, 1)
        made = self.ends(tokens_of(seen, p), given, self.net, places, told).to(latents.dtype)
        made = F.pixel_shuffle(made.unflatten(1, (t, h // p, w // p)).permute(0, 1, 4, 2, 3), p)
        made = self.answer(latents, others, made)
        if self.config.calm:
            made = latents + stir(latents, known, self.config.calm) * (made - latents)
        return torch.where(known[..., None, None, None], latents, made) if self.config.trunk.clamp else made

    def answer(self, latents: Tensor, others: Tensor | None, made: Tensor) -> Tensor:
        """What the transformer's `b t .. h w` makes of the fill."""
        if self.mix:
            return self.mix(latents, others, made)
        return latents + made if self.config.trunk.residual else made


class Ends(nn.Module):
    """What is around the transformer: tokens in, marked by whether they are given, and its answer out.

    Args:
        seen, made: values of a token, in and out.
        silent: whether a fresh one answers 0.
    """

    def __init__(self, seen: int, made: int, trunk: Trunk, *, silent: bool) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(seen, trunk.width), nn.Linear(trunk.width, made)
        self.mark = nn.Embedding(2, trunk.width)
        nn.init.normal_(self.mark.weight, std=0.02)
        nn.init.zeros_(self.leave.bias)
        if silent:
            nn.init.zeros_(self.leave.weight)

    def forward(self, tokens: Tensor, known: Tensor, net: Net, places: Tensor, told: Tensor) -> Tensor:
        return self.leave(net(self.enter(tokens) + self.mark(known.long()), places, told, known))


def tokens_of(clip: Tensor, patch: int) -> Tensor:
    """`b t c h w` -> `b n c*patch^2`, frame by frame, row by row."""
    return F.pixel_unshuffle(clip, patch).permute(0, 1, 3, 4, 2).flatten(1, 3)


def stir(clip: Tensor, known: Tensor, calm: float) -> Tensor:
    """`b 1 1 h w` from 0, where the known frames of `b t c h w` agree around a place, to 1, where they differ by much
    more than `calm`; 1 where none is known."""
    there = known[:, :, None, None, None]
    high, low = clip.masked_fill(~there, -torch.inf).amax(1), clip.masked_fill(~there, torch.inf).amin(1)
    far = F.avg_pool2d((high - low).amax(1, keepdim=True), 5, 1, 2, count_include_pad=False)
    square = F.max_pool2d(far, 9, 1, 4).square()
    share = torch.where(known.any(1)[:, None, None, None], square / (square + calm**2), 1.0)
    return share[:, None].to(clip.dtype)


def grid(rows: int, columns: int) -> Tensor:
    """`n 2`: place of each patch, row by row."""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))


def volume(times: Tensor, rows: int, columns: int) -> Tensor:
    """`n 3`: time and place of each token, frame by frame, row by row."""
    place = grid(rows, columns).to(times.device)
    when = times.float().repeat_interleave(len(place))[:, None]
    return torch.cat([when, place.repeat(len(times), 1)], 1)


def hidden(net: PatchRefiner | VideoRefiner) -> list[dict]:
    """Parameter groups: the matrices inside the blocks, for Muon where a run asks for it, and the rest."""
    inner = {m.weight for m in net.net.blocks.modules() if isinstance(m, nn.Linear)}
    rest = [p for p in net.parameters() if p not in inner]
    return [{"params": [p for p in net.parameters() if p in inner], "muon": True}, {"params": rest}]
