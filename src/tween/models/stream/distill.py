"""Distillation to few steps on the model's own rollouts: self forcing (Huang et al. 2025) with distribution matching
(DMD, Yin et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tween.models.stream.actions import Actions
from tween.models.stream.cache import advance, begin
from tween.models.stream.net.net import StreamNet
from tween.models.stream.sampling import Sampling, flat, noised
from tween.models.stream.task import Batch, Encode, levels, prepared, spread
from tween.models.stream.timeline import block_frames


@dataclass(frozen=True, kw_only=True)
class Matching:
    """How a student is matched to its teacher.

    Attributes:
        sampling: the few steps that the student learns, with the loop `renoise`.
        every: the critic takes a turn each step, the student each `every` steps.
        shift: of the levels at which teacher and critic are asked.
        critic_lr: of the critic, as a share of the optimiser's rate.
    """

    sampling: Sampling = field(default_factory=Sampling)
    every: int = 5
    shift: float = 5.0
    critic_lr: float = 0.2


class DistillTask:
    """Turns `critic` and `student`.

    The critic learns the velocity of what the student makes; where it differs from the teacher's, the student's
    latents are moved towards what is real. Both are asked as in teacher forcing: about each block of a rollout after
    the blocks before it.

    Args:
        teacher: pretrained; student and critic begin as copies of it.
        encode: see `ForcingTask`; of real clips the student gets the picture and the actions, never the rest.
        lr: peak rate of the student, that of the run's optimiser.
    """

    def __init__(
        self, teacher: StreamNet, encode: Encode, matching: Matching | None = None, *, lr: float
    ) -> None:
        self.modules = nn.ModuleDict(
            {name: deepcopy(teacher).requires_grad_(True) for name in ("net", "critic")}
        )
        self.teacher = teacher.eval().requires_grad_(False)
        self.encode, self.matching, self.lr = encode, matching or Matching(), lr

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        student, critic = (list(self.modules[name].parameters()) for name in ("net", "critic"))
        return {
            "critic": [{"params": critic, "lr": self.lr * self.matching.critic_lr}],
            "student": [{"params": student}],
        }

    def turns(self, step: int) -> Iterable[str]:
        return ("critic",) if step % self.matching.every else ("critic", "student")

    def loss(self, turn: str, batch: Batch, step: int) -> Mapping[str, Tensor]:
        latents, actions = prepared(batch, self.encode)
        with torch.set_grad_enabled(turn == "student"):
            made = rollout(self.modules["net"], self.matching.sampling, latents.shape, actions, latents[:, 0])
        if turn == "student":
            return {"matching": self._matching(made, actions, latents[:, 0])}
        return {"velocity": self._velocity(made, actions, latents[:, 0])}

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing changes between steps."""

    def _velocity(self, made: Tensor, actions: Actions, image: Tensor) -> Tensor:
        x, level, noise = self._noised(made)
        v, _ = self.modules["critic"](x, level, actions, image, clean=made)
        return F.mse_loss(v.float(), noise - made)

    def _matching(self, made: Tensor, actions: Actions, image: Tensor) -> Tensor:
        """A loss whose gradient is that of the divergence between made and real (DMD, eq. 7), scaled by how far the
        teacher would move each sample."""
        with torch.no_grad():
            x, level, _ = self._noised(made)
            asked = x, level, actions, image
            real, fake = (
                x - spread(level) * net(*asked, clean=made.detach())[0]
                for net in (self.teacher, self.modules["critic"])
            )
            distance = (made - real).abs().mean((1, 2, 3, 4), keepdim=True).clamp_min(1e-6)
            target = made - (fake - real) / distance
        return 0.5 * F.mse_loss(made.float(), target.float())

    def _noised(self, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        made, noise = made.detach(), torch.randn_like(made)
        level = levels(made, self.modules["net"].config.rule.block, self.matching.shift)
        return noised(made, spread(level), noise), level, noise


def rollout(net: StreamNet, sampling: Sampling, shape: torch.Size, actions: Actions, image: Tensor) -> Tensor:
    """A clip of the network's own, `b n c h w`, block by block with a cache, as in use.

    All blocks stop after one number of passes, drawn at random; only the last of them has a gradient, and what the
    cache keeps has none.
    """
    config, wanted, levels = net.config, torch.is_grad_enabled(), sampling.levels
    passes = int(torch.randint(1, len(levels) + 1, ()))
    cache, made = begin(config, shape[0], tuple(shape[-2:]), device=image.device, dtype=image.dtype), []
    blocks = shape[1] // config.rule.block
    for block in range(blocks):
        frames = block_frames(block, config.rule.block)
        own = actions[frames.start : frames.stop]
        x = torch.randn(shape[0], config.rule.block, *shape[2:], device=image.device, dtype=image.dtype)
        for i, level in enumerate(levels[:passes]):
            if i:
                x = noised(x, level, torch.randn_like(x))
            learns = wanted and i == passes - 1
            if learns:
                torch.clear_autocast_cache()  # of weights cast without gradients, which older PyTorch lends on
            with torch.set_grad_enabled(learns):
                x = x - level * net(x, flat(level, x), own, image, cache=cache)[0]
        made.append(x)
        if block < blocks - 1:  # nobody sees the last one
            with torch.no_grad():
                share = sampling.remember
                seen = noised(x.detach(), share, torch.randn_like(x)) if share else x.detach()
                net(seen, flat(share, x), own, image, cache=cache)
            cache = advance(cache, config, own)
    return torch.cat(made, 1)
