"""One-step refiners: from a coarse fill to what it should have been, in one pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tween.core import TweenError
from tween.models.impute.config import PatchConfig, Trunk, VideoConfig
from tween.models.impute.fills import between, like, take
from tween.models.impute.trunk import Net


class PatchRefiner(nn.Module):
    """Of pictures as patches, `b n d`."""

    def __init__(self, config: PatchConfig | None = None) -> None:
        super().__init__()
        self.config = config or PatchConfig()
        self.ends = Ends(self.config.values, self.config.trunk)
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
        return self.ends(tokens, known, self.net, self.places, told)


class VideoRefiner(nn.Module):
    """Of clips `b t c h w`, pictures or latents."""

    def __init__(self, config: VideoConfig | None = None) -> None:
        super().__init__()
        self.config = config or VideoConfig()
        shares = self.config.patch**2 if self.config.fade else 0
        values = self.config.channels * self.config.patch**2
        self.ends = Ends(values, self.config.trunk, shares, self.config.reach)
        self.net = Net(self.config.trunk)

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
        other = tokens_of(faded(latents, known, at), p) if self.config.fade else None
        given = known.repeat_interleave(h * w // p**2, 1)
        made = self.ends(tokens_of(latents, p), given, self.net, places, told, other)
        made = made.unflatten(1, (t, h // p, w // p))
        made = F.pixel_shuffle(made.permute(0, 1, 4, 2, 3), p)
        if not self.config.calm:
            return made
        return latents + stir(latents, known, self.config.calm) * (made - latents)


class Ends(nn.Module):
    """What is around the transformer: tokens in, marked by whether they are given, and the answer out.

    With `shares`, values of a token that are mixed alike, there is a second opinion, `other`: it is seen too, and the
    answer has so much of it as the network says.
    """

    def __init__(self, values: int, trunk: Trunk, shares: int = 0, reach: float = 1.0) -> None:
        super().__init__()
        self.trunk, self.shares, self.reach = trunk, shares, reach
        self.enter = nn.Linear(2 * values if shares else values, trunk.width)
        self.leave = nn.Linear(trunk.width, values + shares)
        self.mark = nn.Embedding(2, trunk.width)
        nn.init.normal_(self.mark.weight, std=0.02)
        nn.init.zeros_(self.leave.bias)
        if trunk.residual:
            nn.init.zeros_(self.leave.weight)

    def forward(
        self,
        tokens: Tensor,
        known: Tensor,
        net: Net,
        places: Tensor,
        told: Tensor,
        other: Tensor | None = None,
    ) -> Tensor:
        x = self.enter(tokens if other is None else torch.cat([tokens, other - tokens], -1))
        made = self.reach * self.leave(net(x + self.mark(known.long()), places, told, known))
        made = made.to(tokens.dtype)
        made, share = made.split([tokens.shape[-1], self.shares], -1)
        made = tokens + made if self.trunk.residual else made
        if other is not None:
            made = made + share.repeat(1, 1, tokens.shape[-1] // self.shares) * (other - tokens)
        return torch.where(known[..., None], tokens, made) if self.trunk.clamp else made


def faded(clip: Tensor, known: Tensor, at: Tensor) -> Tensor:
    """The known frames of `b t c h w` faded into one another; the clip itself where none is known."""
    before, after, place = between(known, at.double())
    made = take(clip, before).lerp(take(clip, after), like(place, clip))
    return torch.where(known.any(1)[:, None, None, None, None], made, clip)


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
