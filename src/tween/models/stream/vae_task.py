"""What the small autoencoder is trained on: pictures at every scale, their change from frame to frame, and latents that
stay near a normal distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tween.losses import charbonnier, laplacian
from tween.nn.vae import Cache, WanVAE


@dataclass(frozen=True, kw_only=True)
class VaeWeights:
    """Weight of each term; pictures are in [0, 1], the divergence in nats a latent's value.

    Attributes:
        laplacian: every scale's edges, which a plain distance blurs first.
        motion: of what changes between neighbouring frames; without it textures boil.
        divergence: of the latents from a standard normal; small, since it costs detail.
    """

    charbonnier: float = 1.0
    laplacian: float = 0.3
    motion: float = 0.3
    divergence: float = 1e-5


class VaeTask:
    """One turn.

    A session goes on for hours, and what its convolutions then see no short clip has shown them. So of a clip longer
    than `learn` every second step learns the end, and only remembers what came before; the others learn the beginning.

    Args:
        learn: frames of a clip that are learned at a time, 1 + 4m.
        levels: of the Laplacian pyramid; sides must be more than 2^levels px.
        keep: of the latents' mean and deviation, from step to step; the rest is the new batch's.
        compile_: wraps all of a step that runs on the device.
    """

    def __init__(
        self,
        vae: WanVAE,
        weights: VaeWeights | None = None,
        *,
        learn: int = 17,
        levels: int = 4,
        keep: float = 0.98,
        compile_: Callable[[Any], Any] = lambda f: f,
    ) -> None:
        self.modules = nn.ModuleDict({"vae": vae})
        self.weights, self.levels, self.keep = weights or VaeWeights(), levels, keep
        self.learn = learn
        self._terms = compile_(self.terms)

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        return {"main": [{"params": list(self.modules.parameters())}]}

    def turns(self, step: int) -> Iterable[str]:
        return ("main",)

    def loss(self, turn: str, batch: Tensor, step: int) -> Mapping[str, Tensor]:
        if step % 2 and batch.shape[1] > self.learn:
            before = batch.shape[1] - (self.learn - 1)
            caches = self.remembered(batch[:, :before])
            torch.clear_autocast_cache()  # of weights cast without gradients, which older PyTorch lends on
            return self._terms(batch[:, before:], *caches)
        return self._terms(batch[:, : self.learn])

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing changes between steps."""

    @torch.no_grad()
    def remembered(self, frames: Tensor) -> tuple[Cache, Cache]:
        """What encoder and decoder keep of the frames before those that are learned."""
        mean, _, encoded = self.modules["vae"].posterior(frames)
        return encoded, self.modules["vae"].render(mean)[1]

    def terms(
        self, frames: Tensor, encoded: Cache | None = None, decoded: Cache | None = None
    ) -> dict[str, Tensor]:
        """Weighted loss terms of clips `b t 3 h w` in [0, 1] that go on where the caches end."""
        vae, w = self.modules["vae"], self.weights
        mean, log_variance, _ = vae.posterior(frames, encoded)
        mean, log_variance = mean.float(), log_variance.float()
        follow(vae, mean, self.keep)
        made, _ = vae.render(mean + (0.5 * log_variance).exp() * torch.randn_like(mean), decoded)
        pictures, truth = made.float().flatten(0, 1), frames.flatten(0, 1)
        terms = {
            "charbonnier": w.charbonnier * charbonnier(pictures, truth),
            "laplacian": w.laplacian * laplacian(pictures, truth, levels=self.levels),
            "divergence": w.divergence * divergence(mean, log_variance),
        }
        if frames.shape[1] > 1:
            terms["motion"] = w.motion * charbonnier(made.diff(dim=1), frames.diff(dim=1))
        return terms


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence from a standard normal, mean over values (Kingma and Welling, 2014, appendix B)."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()


@torch.no_grad()
def follow(vae: WanVAE, mean: Tensor, keep: float) -> None:
    """Move what normalises the latents towards this batch's `mean` `b n c h w`: by the end it is that of the data."""
    vae.mean.lerp_(mean.mean((0, 1, 3, 4)), 1 - keep)
    power = (mean - vae.mean.view(-1, 1, 1)).square().mean((0, 1, 3, 4))
    if vae.config.whiten < 1:
        power = power.mean().expand_as(power)
    vae.std.lerp_(power.sqrt(), 1 - keep)
