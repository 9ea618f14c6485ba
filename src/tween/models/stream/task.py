"""Pretraining: the network learns the velocity of noised blocks of real streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tween.models.stream.actions import Actions
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import noised, shifted


class Batch(Protocol):
    """What the tasks need of a batch; see `tween.data.episodes.Window`.

    `frames` is whatever `encode` takes; `keys` is `b f k`, `mouse` `b f 2`, one a frame.
    """

    frames: Tensor
    keys: Tensor
    mouse: Tensor


Encode = Callable[[Tensor], Tensor]
"""Frames of a batch -> latents `b n c h w` of a frozen autoencoder."""


@dataclass(frozen=True, kw_only=True)
class Forcing:
    """How a clip is noised.

    Attributes:
        teach: `teacher`: blocks see the clean blocks before them, as in use; `diffusion`: as noisy as they are,
            each block at a level of its own (Chen et al. 2024).
        shift: of the levels, which are drawn evenly.
        stain: the clean blocks bear noise up to this level, drawn for each, so that in use small errors of the
            blocks before are nothing new.
        blind: share of clips whose seed picture is hidden.
    """

    teach: Literal["teacher", "diffusion"] = "teacher"
    shift: float = 1.0
    stain: float = 0.0
    blind: float = 0.1


class ForcingTask:
    """One turn.

    Args:
        net: to compile it, compile its blocks (`net.blocks[i].compile()`): what is around them is small.
        encode: runs without gradients.
    """

    def __init__(self, net: StreamNet, encode: Encode, forcing: Forcing | None = None) -> None:
        self.modules = nn.ModuleDict({"net": net})
        self.encode, self.forcing = encode, forcing or Forcing()

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        return {"main": [{"params": list(self.modules.parameters())}]}

    def turns(self, step: int) -> Iterable[str]:
        return ("main",)

    def loss(self, turn: str, batch: Batch, step: int) -> Mapping[str, Tensor]:
        return self.terms(*prepared(batch, self.encode))

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing changes between steps."""

    def terms(self, latents: Tensor, actions: Actions) -> dict[str, Tensor]:
        """`velocity`: mean squared error, in squared standard deviations of a latent."""
        net, forcing, size = self.modules["net"], self.forcing, self.modules["net"].config.rule.block
        level = levels(latents, size, forcing.shift)
        image = latents[:, 0] * (torch.rand(len(latents), 1, 1, 1, device=latents.device) >= forcing.blind)
        clean = stain = None
        if forcing.teach == "teacher":
            stain = forcing.stain * of_blocks(latents, size, torch.rand)
            clean = noised(latents, spread(stain), torch.randn_like(latents))
        noise = torch.randn_like(latents)
        x = noised(latents, spread(level), noise)
        v, _ = net(x, level, actions, image, clean=clean, clean_level=stain)
        return {"velocity": F.mse_loss(v.float(), noise - latents)}


def prepared(batch: Batch, encode: Encode) -> tuple[Tensor, Actions]:
    """Latents and actions of a batch."""
    with torch.no_grad():
        latents = encode(batch.frames)
    return latents, Actions(batch.keys.to(latents.dtype), batch.mouse.to(latents.dtype))


def levels(latents: Tensor, block: int, shift: float) -> Tensor:
    """A level of noise for each block: `b n`, even, then shifted.

    A logit-normal draw (Esser et al. 2024) hardly comes near either end; the steps of sampling do.
    """
    return shifted(of_blocks(latents, block, torch.rand), shift)


def of_blocks(latents: Tensor, block: int, draw: Callable[..., Tensor]) -> Tensor:
    """One draw a block, for each of its latents: `b n`."""
    b, n = latents.shape[:2]
    return draw(b, -(-n // block), device=latents.device).repeat_interleave(block, 1)[:, :n]


def spread(level: Tensor) -> Tensor:
    """`b n` -> `b n 1 1 1`."""
    return level[:, :, None, None, None]
