"""How a refiner learns: its answers drift towards real samples of their class, in the features of a frozen encoder; or
beside that, or instead, they are compared with the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tween.models.impute.config import Taps
from tween.models.impute.encoder import Encoder
from tween.models.impute.features import features
from tween.models.impute.net import hidden
from tween.ops.drift import TEMPERATURES, Weights, drift_loss, unconditional


@dataclass(frozen=True, kw_only=True)
class Classes:
    """A batch: c classes, g samples to refine of each. A *sample* is what real data are: a picture or clip, `...`.

    Attributes:
        labels, alpha: `c`; alpha is the strength of guidance.
        truth, coarse: `c*g n d` (patches) or `c*g t c h w`: what should come out, and what goes in.
        known: `c*g n` or `c*g t` bool.
        positives: `c p ...`, other real samples of the class.
        anything: `u ...`, real samples of any class; there may be none.
        weights: `c g`, 0 for padding where a class has fewer samples.
        positive_weights: `c p`, likewise.
        times: `t` of a clip's frames, where they are not one after the other.
        text: `c*g e`, embeddings, where the refiner is told any.
    """

    labels: Tensor
    alpha: Tensor
    truth: Tensor
    coarse: Tensor
    known: Tensor
    positives: Tensor
    anything: Tensor
    weights: Tensor
    positive_weights: Tensor
    times: Tensor | None = None
    text: Tensor | None = None

    @property
    def each(self) -> int:
        """g."""
        return self.weights.shape[1]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is minimised.

    Attributes:
        drift: weight of drifting, the mean over feature vectors: from 1 to 9 with three temperatures whatever the
            features are, and hardly falling (see `tween.ops.drift`).
        paired: weight of the squared error of what was missing. By itself it is the regression that drifting is
            compared with. At 100 its gradient is about as large as that of drifting.
        even: above 0, a sample's error is divided by that of its coarse fill plus this (a mean square), so that all
            count alike and it is decibels that are learned; else the few where much moves outvote the others, which
            lose more than those win. `paired` is then in units of drifting: about 1 is as much.
        taps: the features.
        importance: group of features -> weight, 1 where it is not named, such as {"plain": 0.5}.
        unnamed: share of the samples whose class is not told: a refiner that will be used without must learn so.
        silent: likewise of their text.
        mixed: samples are mixed by their affinities in bf16; distances stay fp32.
        compiled: the field by torch.compile; worth it only where shapes stay.
        diagnose: steps between diagnostics of the kernel; 0: none.
    """

    drift: float = 1.0
    paired: float = 0.0
    even: float = 0.0
    taps: Taps = field(default_factory=Taps)
    temperatures: tuple[float, ...] = TEMPERATURES
    importance: dict[str, float] = field(default_factory=dict)
    unnamed: float = 0.0
    silent: float = 0.1
    mixed: bool = False
    compiled: bool = False
    diagnose: int = 0


class RefinerTask:
    """One turn.

    Args:
        refiner: `PatchRefiner` or `VideoRefiner`.
        encoder: frozen; not needed without drifting.
        sample: what the refiner returned -> samples.
        view: samples, flat -> what the encoder sees, `m c h w` or `m w c h w` (w windows of a clip). With gradient:
            a decoder in it must pass one on.
    """

    def __init__(
        self,
        refiner: nn.Module,
        encoder: Encoder | None,
        objective: Objective,
        *,
        sample: Callable[[Tensor], Tensor] = lambda x: x,
        view: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        self.modules = nn.ModuleDict({"refiner": refiner})
        self.encoder = None if encoder is None else encoder.eval().requires_grad_(False)
        self.objective, self.sample, self.view = objective, sample, view

    def params(self) -> Mapping[str, list[dict[str, Any]]]:
        return {"refiner": hidden(self.modules["refiner"])}

    def turns(self, step: int) -> Iterable[str]:
        return ("refiner",)

    def loss(self, turn: str, batch: Classes, step: int) -> Mapping[str, Tensor]:
        """Terms, and measures to be logged: `interp/mse_missing`, `interp/mse_all` of the coarse fill,
        `refined/mse_missing`, `refined/mse_known` of the answer, `drift/..` of the kernel."""
        o = self.objective
        made = refined(self.modules["refiner"], batch, o.unnamed, o.silent)
        missing, known = errors(made.float(), batch)
        terms = {}
        if o.drift:
            diagnose = bool(o.diagnose) and step % o.diagnose == 0
            loss, found = self.drift(self.sample(made), batch, diagnose)
            terms |= {"drift": o.drift * loss} | {f"drift/{name}": value for name, value in found.items()}
        if o.paired:
            terms["paired"] = o.paired * (evened(made.float(), batch, o.even) if o.even else missing)
        coarse, _ = errors(batch.coarse, batch)
        whole = _mean((batch.coarse - batch.truth).square().flatten(1).mean(1), batch)
        return terms | {
            "interp/mse_missing": coarse,
            "interp/mse_all": whole,
            "refined/mse_missing": missing.detach(),
            "refined/mse_known": known.detach(),
        }

    def after_step(self, step: int, optimizers: Mapping[str, Any]) -> None:
        """Nothing changes between steps."""

    def drift(self, made: Tensor, batch: Classes, diagnose: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of answers as samples, `c*g ...`, a feature vector, and what the kernel saw."""
        c, u, o = len(batch.labels), len(batch.anything), self.objective
        x = self.features(made, c)
        real = batch.positives.flatten(0, 1)
        real = torch.cat([real, batch.anything]) if u else real
        with torch.no_grad():
            known = self.features(real, 1)
        many = len(real) - u
        pos = {name: value[0, :many].unflatten(0, (c, -1)) for name, value in known.items()}
        neg = {name: value[:, many:].expand(c, -1, -1, -1) for name, value in known.items()} if u else None
        counts = unconditional(batch.alpha, batch.weights.sum(1), u) if u else None
        loss = drift_loss(
            x,
            pos,
            neg,
            weights=Weights(x=batch.weights, pos=batch.positive_weights, neg=counts),
            temperatures=o.temperatures,
            importance=o.importance,
            dtype=torch.bfloat16 if o.mixed else None,
            compiled=o.compiled,
            diagnostics=diagnose,
        )
        loss, found = loss if diagnose else (loss, {})
        return loss / sum(value.shape[2] for value in x.values()), found

    def features(self, samples: Tensor, classes: int) -> dict[str, Tensor]:
        """Groups `c n l d` of flat samples."""
        found = features(self.encoder, self.view(samples), self.objective.taps)
        return {name: value.unflatten(0, (classes, -1)) for name, value in found.items()}


def refined(refiner: nn.Module, batch: Classes, unnamed: float = 0.0, silent: float = 0.0) -> Tensor:
    """The refiner's answer; where it has a style, one of its answers."""
    label, alpha = (x.repeat_interleave(batch.each) for x in (batch.labels, batch.alpha))
    trunk = refiner.config.trunk
    if unnamed:
        label = torch.where(torch.rand(len(label), device=label.device) < unnamed, trunk.classes, label)
    noise = torch.randn(len(label), trunk.style, device=label.device) if trunk.style else None
    more = {} if batch.times is None else {"times": batch.times}
    if batch.text is not None:
        more["text"] = batch.text * (torch.rand(len(label), 1, device=label.device) >= silent)
    return refiner(batch.coarse, batch.known, label, level(batch.known), alpha, noise, **more)


def level(known: Tensor) -> Tensor:
    """`b`: the share that is missing."""
    return 1 - known.float().mean(1)


def errors(made: Tensor, batch: Classes) -> tuple[Tensor, Tensor]:
    """Mean squared errors of what was missing and of what was given."""
    square = (made - batch.truth).square().flatten(2).mean(2)
    weight = batch.weights.flatten()[:, None]
    return _share(square, weight * ~batch.known), _share(square, weight * batch.known)


def evened(made: Tensor, batch: Classes, even: float) -> Tensor:
    """Mean over samples of the squared error of what was missing, over that of the coarse fill plus `even`."""
    count = (~batch.known).sum(1).clamp(min=1)
    ours, fill = (
        ((x - batch.truth).square().flatten(2).mean(2) * ~batch.known).sum(1) / count
        for x in (made, batch.coarse)
    )
    return _mean(ours / (fill + even), batch)


def _share(square: Tensor, weight: Tensor) -> Tensor:
    return (square * weight).sum() / weight.sum().clamp(min=1)


def _mean(each: Tensor, batch: Classes) -> Tensor:
    return _share(each, batch.weights.flatten())
