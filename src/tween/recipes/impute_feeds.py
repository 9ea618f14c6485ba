"""Batches for `impute`: samples dealt class by class, what is given of them, and the coarse fill of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from tween.core import TweenError
from tween.models.impute.conditions import alphas
from tween.models.impute.corrupt import Noise, corrupt, corrupt_patches, none
from tween.models.impute.fills import Fill
from tween.models.impute.fills_patches import PatchFill, harmonic, idw
from tween.models.impute.masks import frame_order, nested, patch_order
from tween.models.impute.patches import patches
from tween.models.impute.queues import Deal, Queues, deal, of_labels
from tween.models.impute.task import Classes

PATCH_FILLS: dict[str, PatchFill] = {
    "idw": idw,
    "idw4": partial(idw, power=4.0),
    "laplacian": harmonic,
}


@dataclass(frozen=True, kw_only=True)
class Dealing:
    """A batch.

    Attributes:
        classes: c, of each step; none twice.
        generated: g, samples to refine of each.
        positives: p, other real samples of each.
        anything: u, real samples of any class, pushed away from where guidance is stronger than 1.
        queue, queue_all, push: see `Queues`.
        power, most, plain, values, shares: of the strength of guidance, see `alphas`.
    """

    classes: int = 10
    generated: int = 32
    positives: int = 64
    anything: int = 32
    queue: int = 512
    queue_all: int = 1000
    push: int = 64
    power: float = 3.0
    most: float = 4.0
    plain: float = 0.5
    values: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()

    def alphas(self, count: int) -> Tensor:
        """Of so many classes."""
        own = {name: getattr(self, name) for name in ("power", "most", "plain", "values", "shares")}
        return alphas(count, **own)

    def __post_init__(self) -> None:
        if min(self.classes, self.generated, self.positives) < 1 or self.anything < 0:
            raise TweenError(
                f"a batch needs a class, a sample to refine and a positive at least, but got {self.classes}, "
                f"{self.generated} and {self.positives}"
            )

    def queues(self, labels: Tensor, classes: int, seed: int) -> Queues:
        """Of samples with these labels."""
        if len(labels) < 2:
            raise TweenError(f"drifting needs 2 samples or more, but got {len(labels)}; point to more data")
        return of_labels(
            labels.cpu().numpy(), classes, size=self.queue, size_all=self.queue_all, push=self.push, seed=seed
        )

    def deal(self, queues: Queues, index: int) -> Deal:
        """Who is in batch `index`."""
        return deal(
            queues,
            index,
            classes=self.classes,
            targets=self.generated,
            positives=self.positives,
            anything=self.anything,
        )


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What is given of a sample, and what stands in for the rest.

    Attributes:
        counts: how many patches or frames, one of these drawn for each sample.
        fill: for patches or for frames.
        replace: probability that a keyframe of a clip is shown as an earlier stage would have made it, and may be
            changed (scheduled sampling).
        propose: clip -> keyframes as that stage makes them.
    """

    counts: Sequence[int]
    fill: PatchFill | Fill
    noise: Noise = none
    replace: float = 0.0
    propose: Callable[[Tensor], Tensor] | None = None

    def draw(self, b: int) -> Tensor:
        """`b` counts."""
        return torch.tensor(self.counts)[torch.randint(len(self.counts), (b,))]


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """The pictures that latents stand for, frame by frame. They are what is filled, as in use.

    Attributes:
        frames: `n t 3 h w` uint8, on the device.
        encode: `b t 3 h w` in [0, 1] -> latents.
    """

    frames: Tensor
    encode: Callable[[Tensor], Tensor]


Batch = Callable[[int], Classes]


def keypatches(
    samples: Tensor, labels: Tensor, *, classes: int, dealing: Dealing, keys: Keys, patch: int, seed: int = 0
) -> Batch:
    """Batches of pictures or latents as patches.

    Args:
        samples: `n c h w` on the device, uint8 pictures or float latents; pictures are mirrored at random.
        labels: `n`, 0 to classes - 1.
    """
    queues = dealing.queues(labels, classes, seed)

    def batch(index: int) -> Classes:
        dealt = dealing.deal(queues, index)
        truth = as_float(samples[dealt.targets.flatten().to(samples.device)])
        tokens = patches(truth, patch)
        known = nested(patch_order(*tokens.shape[:2]), keys.draw(len(tokens))).to(tokens.device)
        grid = truth.shape[-2] // patch, truth.shape[-1] // patch
        coarse, _ = corrupt_patches(tokens, known, fill=keys.fill, noise=keys.noise, grid=grid)
        return Classes(truth=tokens, coarse=coarse, known=known, **_others(samples, dealt, dealing))

    return batch


def keyframes(
    samples: Tensor,
    labels: Tensor,
    *,
    classes: int,
    dealing: Dealing,
    keys: Keys,
    shown: Shown | None = None,
    text: Tensor | None = None,
    seed: int = 0,
) -> Batch:
    """Batches of clips `n t c h w` on the device, uint8 pictures or float latents. First and last frame are given.

    Args:
        shown: of latents, where a refiner of them will begin with pictures; else they are filled themselves.
        text: `n e`, what the refiner is told.
    """
    queues = dealing.queues(labels, classes, seed)

    def batch(index: int) -> Classes:
        dealt = dealing.deal(queues, index)
        targets = dealt.targets.flatten().to(samples.device)
        clip = as_float(samples[targets], axes=4)
        seen = clip if shown is None else shown.frames[targets].float() / 255
        given = nested(frame_order(*clip.shape[:2]), keys.draw(len(clip))).to(clip.device)
        made = (keys.propose or worn)(seen) if keys.replace else None
        coarse, known = corrupt(
            seen, given, fill=keys.fill, noise=keys.noise, proposals=made, replace=keys.replace
        )
        if shown is not None:
            with torch.no_grad():
                made = shown.encode(coarse.clamp(0, 1))
            coarse = torch.where(known[..., None, None, None], clip, made)
        others = _others(samples, dealt, dealing, axes=4)
        told = None if text is None else text[targets]
        return Classes(truth=clip, coarse=coarse, known=known, text=told, **others)

    return batch


def worn(clip: Tensor, noise: float = 0.05) -> Tensor:
    """`b t c h w` as a weaker generator might make it: at half the resolution, a little off in colour or level, noisy.

    What an earlier stage of one's own makes is better; give it as `Keys.propose`.
    """
    flat = clip.flatten(0, 1)
    soft = torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(flat, 2), flat.shape[2:])
    off = noise * torch.randn(*flat.shape[:2], 1, 1, device=clip.device)
    return (soft + off + noise * torch.randn_like(soft)).unflatten(0, clip.shape[:2])


def _others(samples: Tensor, dealt: Deal, dealing: Dealing, axes: int = 3) -> dict[str, Tensor]:
    """All of a batch that has not to do with what is refined; a sample has so many axes."""
    device = samples.device
    return {
        "labels": dealt.labels.to(device),
        "alpha": dealing.alphas(len(dealt.labels)).to(device),
        "positives": as_float(samples[dealt.positives.to(device)], axes),
        "anything": as_float(samples[dealt.anything.to(device)], axes),
        "weights": dealt.target_weights.to(device),
        "positive_weights": dealt.positive_weights.to(device),
    }


def as_float(samples: Tensor, axes: int = 3) -> Tensor:
    """Samples `.. h w` of uint8 to [0, 1], each mirrored at random as a whole; anything else as floats.

    Args:
        axes: of a sample: 3 of a picture, 4 of a clip.
    """
    if samples.dtype != torch.uint8:
        return samples.float()
    pictures = samples.float() / 255
    flip = (torch.rand(*samples.shape[:-axes], *(1,) * axes) < 0.5).to(samples.device)
    return torch.where(flip, pictures.flip(-1), pictures)


def pictures(
    samples: Tensor, labels: Tensor, *, batch_size: int, pad: int = 4
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Batches for a classifier: pictures shifted by up to `pad` pixels, mirrored, one square blanked."""

    def batch(index: int) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(labels), (batch_size,)).to(samples.device)
        found = shifted(as_float(samples[chosen]), pad)
        return blanked(found, found.shape[-1] // 4), labels[chosen]

    return batch


def shifted(x: Tensor, pad: int) -> Tensor:
    """`b c h w`, each moved by up to `pad` pixels each way; what comes in mirrors the edge."""
    b, _, h, w = x.shape
    wide = torch.nn.functional.pad(x, (pad,) * 4, mode="reflect")
    move = torch.randint(2 * pad + 1, (2, b, 1)).to(x.device)
    rows, columns = (torch.arange(n, device=x.device) + m for n, m in zip((h, w), move, strict=True))
    return wide[
        torch.arange(b, device=x.device)[:, None, None], :, rows[:, :, None], columns[:, None]
    ].movedim(-1, 1)


def blanked(x: Tensor, side: int) -> Tensor:
    """`b c h w` with a square of each set to its mean (DeVries and Taylor, 2017)."""
    b, _, h, w = x.shape
    top, left = (torch.rand(b, 1).to(x.device) * n - side / 2 for n in (h, w))
    rows, columns = (torch.arange(n, device=x.device) for n in (h, w))
    inside = ((rows >= top) & (rows < top + side))[:, :, None] & (
        (columns >= left) & (columns < left + side)
    )[:, None]
    return torch.where(inside[:, None], x.mean((2, 3), keepdim=True), x)
