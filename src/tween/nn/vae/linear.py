"""The linear part of an autoencoder: what its layers learn is added to the best that a linear map does.

A network that begins at random spends its first thousands of steps on finding what principal components are at once.
DC-AE (Chen et al. 2024) likewise adds its layers to a reshaping that loses nothing; here the components are measured.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Module):
    """The pixels of a latent's cell, in all its frames, <-> the channels of the latent, by `basis` (`latent cell`)
    around `centre`, each channel divided by its `spread`. All are measured, not learned; before, they give nothing.

    Whitened wholly, what hardly shows weighs as much as what is seen at once, for whoever models the latents. Less
    whitened, coarse matters stand out of noise first, as they do in pixels (Skorokhodov et al. 2025 find latents that
    are so easier to generate).

    Before the first latent is one frame: it stands for all frames of a cell, and comes back as their mean.

    Args:
        frames: of a latent.
        side: of a cell, in pixels.
        whiten: 1: all channels have deviation 1; 0: they keep the ratios of theirs. Their mean square is 1.
    """

    def __init__(self, latent: int, *, frames: int, side: int, whiten: float = 1.0) -> None:
        super().__init__()
        self.frames, self.side, self.whiten = frames, side, whiten
        cell = 3 * frames * side**2
        self.register_buffer("basis", torch.zeros(latent, cell))
        self.register_buffer("centre", torch.zeros(cell))
        self.register_buffer("spread", torch.ones(latent))

    def cells(self, x: Tensor, *, first: bool) -> Tensor:
        """`t b 3 h w` -> `n b cell h/side w/side`; `first`: the first frame is a latent of its own."""
        x = F.pixel_unshuffle(x, self.side)
        if first:
            x = torch.cat((x[:1].expand(self.frames, *x.shape[1:]), x[1:]))
        return x.unflatten(0, (-1, self.frames)).movedim(1, 2).flatten(2, 3)

    def encode(self, x: Tensor, *, first: bool) -> Tensor:
        """`t b 3 h w` -> `n b latent h/side w/side`."""
        maps = self.basis / self.spread[:, None]
        return _each(self.cells(x, first=first), maps, -maps @ self.centre)

    def decode(self, latents: Tensor, *, first: bool) -> Tensor:
        """`n b latent h w` -> `t b 3 h*side w*side`."""
        x = _each(latents, (self.basis * self.spread[:, None]).mT, self.centre)
        x = x.unflatten(2, (self.frames, -1)).movedim(2, 1)
        frames = x.flatten(0, 1)
        if first:
            frames = torch.cat((x[0].mean(0, keepdim=True), frames[self.frames :]))
        return F.pixel_shuffle(frames, self.side)

    @torch.no_grad()
    def measure(self, batches: Iterable[Tensor]) -> None:
        """Take the principal components of all cells of `batches` (each `m cell`), the widest first; there should be
        many times as many as a cell has values."""
        count, total, square = 0, 0.0, 0.0
        for cells in batches:
            cells = cells.double()
            count += len(cells)
            total = total + cells.sum(0)
            square = square + cells.T @ cells
        centre = total / count
        values, vectors = torch.linalg.eigh(square / count - centre.outer(centre))
        self.centre.copy_(centre)
        self.basis.copy_(vectors.flip(1).T[: len(self.basis)])
        deviation = values.flip(0)[: len(self.spread)].clamp_min(1e-8).sqrt()
        kept = deviation ** (1 - self.whiten)
        self.spread.copy_(deviation / kept * kept.square().mean().sqrt())


def _each(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear map of each pixel's channels of `n b c h w`."""
    return F.conv2d(x.flatten(0, 1), weight[:, :, None, None], bias).unflatten(0, x.shape[:2])
