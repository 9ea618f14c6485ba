"""How refiners of clips are trained: an encoder of windows without classes, a codebook of what keyframes and text say,
a refiner that drifts within its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data import episodes, toys
from tween.engine import distributed
from tween.engine.run import Run
from tween.models.impute.codebook import assigned, fitted
from tween.models.impute.conditions import embedding
from tween.models.impute.config import EncoderConfig, Taps, Trunk, VideoConfig
from tween.models.impute.corrupt import Noise, none
from tween.models.impute.encoder import Encoder
from tween.models.impute.fills import Fill, by_filler
from tween.models.impute.fills_filler import FILLS
from tween.models.impute.framewise import encoded
from tween.models.impute.mae import windows
from tween.models.impute.masks import frame_order, nested
from tween.models.impute.task import Objective
from tween.nn.vae import WanVAE
from tween.recipes import impute, impute_pages
from tween.recipes.impute_feeds import Dealing, Keys, Shown, as_float, keyframes
from tween.zoo import load
from tween.zoo.codecs import named, open_codec, print_of
from tween.zoo.load import place

CHUNK = 64
UNNAMED = 0.9
"""Share of samples without their class, of what `tween fill` will use: it knows of none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clips:
    """What there is to learn from, on the device.

    Attributes:
        samples: `n t c h w`, uint8 pictures or float latents.
        text: `n e`, embeddings, or None.
        labels: `n`, classes where they are known; else a codebook makes them.
        prompts: `n`, what was said; empty where nothing was.
        shown: of latents of single frames, the pictures.
        about: for the report and for use: which autoencoder made the latents.
    """

    samples: Tensor
    text: Tensor | None = None
    labels: Tensor | None = None
    prompts: tuple[str, ...] = ()
    shown: Shown | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.samples.ndim != 5 or self.samples.shape[1] < 3:
            raise TweenError(
                f"clips should be (n, t, c, h, w) with 3 frames or more, but are {tuple(self.samples.shape)}"
            )


@dataclass(frozen=True, kw_only=True)
class Video:
    """A recipe for clips.

    Attributes:
        gaps: frames from keyframe to keyframe; one of these for each sample. Masks are nested.
        fill: see `FILLS`.
        window: frames that the encoder sees at a time; 0: no encoder, plain samples drift.
        codes: sizes of the codebook, the first that is filled well enough.
        quantiser: what fits it, see `codebook.QUANTISERS`.
        patch: side of a token.
        replace: see `Keys`.
    """

    gaps: Sequence[int] = (4, 8, 16)
    fill: str = "linear"
    window: int = 4
    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(blocks=(1, 1, 1)))
    codes: tuple[int, ...] = (1024, 512)
    quantiser: str = "k-means"
    patch: int = 8
    replace: float = 0.0
    trunk: Trunk = field(default_factory=Trunk)
    dealing: Dealing = field(
        default_factory=lambda: Dealing(classes=8, generated=4, positives=16, anything=16)
    )
    objective: Objective = field(default_factory=Objective)


SHAPES = Video(
    gaps=(4, 8),
    window=3,
    encoder=EncoderConfig(width=8, blocks=(1, 1), groups=4),
    codes=(16, 8),
    patch=4,
    trunk=Trunk(width=64, layers=2, heads=2, ffn=128, clamp=True),
    dealing=Dealing(classes=4, generated=8, positives=8, anything=8, queue=64),
    objective=Objective(taps=Taps(patches=(2,), most=4), paired=500.0),
)
"""Moving shapes, on a CPU in under a minute: what flies on between two keyframes, where a fade shows it twice."""

MAZE = Video(
    gaps=(8, 16),
    window=0,
    patch=1,
    trunk=Trunk(width=64, layers=3, heads=2, ffn=128, classes=3, clamp=True),
    dealing=Dealing(classes=3, generated=16, positives=32, anything=0, plain=1.0),
    objective=Objective(taps=Taps(plain=True), paired=150.0),
)
"""Ways through three mazes, on a CPU in under a minute: a class is a maze, and straight lines go through its walls."""


def toy(name: str, device: str = "auto", seed: int = 0) -> tuple[Clips, Video]:
    """`shapes` or `maze`: clips and their recipe."""
    made, recipe = {"shapes": (toys.shapes, SHAPES), "maze": (toys.paths, MAZE)}[name]
    samples, labels = made(1024, seed=seed)
    where = place(device)
    known = labels.to(where) if name == "maze" else None
    return Clips(samples=samples.to(where), labels=known), recipe


def coarse(name: str, device: str = "auto") -> Fill:
    """The fill of that name, or of the released interpolator of that name."""
    return FILLS[name]() if name in FILLS else by_filler(load(name, device=device))


def of_world(folder: Path, *, t: int, count: int, seed: int = 0) -> Tensor:
    """So many windows `n t 3 h w` uint8 of the episodes in a folder's shards, or all there are; at a stride of 4."""
    found = episodes.read(folder)
    places = episodes.windows(found, t, stride=4)
    chosen = np.random.default_rng(seed).permutation(len(places))[:count]
    return episodes.take(found, places[np.sort(chosen)], t).frames.movedim(-1, 2)


def in_latents(samples: Tensor, vae: WanVAE) -> Tensor:
    """Latents `n t c h/8 w/8` fp16 of clips `n t 3 h w` uint8, every frame by itself, as `tween fill` has them."""
    with torch.no_grad():
        return torch.cat([encoded(vae, part.float() / 255).half() for part in samples.split(CHUNK)])


def latent_clips(samples: Tensor, wanted: str, device: str = "auto") -> Clips:
    """Clips of pictures, on the device, as latents of the autoencoder that `wanted` means (see `open_codec`).

    Raises:
        TweenError: if it is not there.
    """
    vae = open_codec(wanted, device)
    shown = Shown(frames=samples, encode=partial(encoded, vae))
    return Clips(samples=in_latents(samples, vae), shown=shown, about=told_of(wanted, vae))


def told_of(wanted: str, vae: WanVAE) -> dict[str, Any]:
    """What a checkpoint keeps of its autoencoder."""
    return {"autoencoder": named(wanted), "its fingerprint": print_of(vae)}


def seen(samples: Tensor, window: int) -> Tensor:
    """What the encoder of a recipe sees of clips."""
    return windows(samples, window) if window else samples


def still(frames: Tensor, window: int) -> Tensor:
    """What it sees of single frames `m c h w`: windows in which nothing moves."""
    return frames.repeat(1, window, 1, 1)


def encoder_run(clips: Clips, video: Video, *, batch_size: int = 64, **fields: Any) -> Run:
    """Masked windows of the clips.

    Raises:
        TweenError: if these are shorter.
    """
    if clips.samples.shape[1] < video.window:
        raise TweenError(
            f"the encoder sees {video.window} frames or latents at a time, but a clip has {clips.samples.shape[1]}; "
            f"take longer clips"
        )
    config = replace(video.encoder, channels=video.window * clips.samples.shape[2], classes=1)

    def batch(index: int) -> Tensor:
        chosen = torch.randint(len(clips.samples), (batch_size,)).to(clips.samples.device)
        start = int(torch.randint(clips.samples.shape[1] - video.window + 1, (1,)))
        return as_float(clips.samples[chosen, start : start + video.window], axes=4).flatten(1, 2)

    return impute.latent_mae(batch, config, batch_size=batch_size, **fields)


@torch.no_grad()
def classes(clips: Clips, video: Video, encoder: Encoder | None, seed: int = 0) -> tuple[Tensor, int]:
    """Class of each clip, and how many classes there are: as they come, else codes of what keyframes and text say."""
    if clips.labels is not None:
        return clips.labels, int(clips.labels.max()) + 1
    if encoder is None:
        return torch.zeros(len(clips.samples), dtype=torch.long, device=clips.samples.device), 1
    embedded = embeddings(clips, video, encoder)
    codes = fitted(embedded, sizes=video.codes, seed=seed, quantiser=video.quantiser)
    return assigned(embedded, codes), len(codes)


@torch.no_grad()
def embeddings(clips: Clips, video: Video, encoder: Encoder) -> Tensor:
    """`n d`: what keyframes and text say."""
    t, h = clips.samples.shape[1], []
    texts = [None] * len(clips.samples) if clips.text is None else clips.text.split(CHUNK)
    for part, text in zip(clips.samples.split(CHUNK), texts, strict=False):
        known = nested(frame_order(len(part), t), keys(video, t)[0]).to(part.device)
        frames = part.float() / 255 if part.dtype == torch.uint8 else part.float()
        h.append(embedding(encoder, frames, known, text, view=partial(still, window=video.window)))
    return torch.cat(h)


def described(
    folder: Path, clips: Clips, video: Video, encoder: Encoder | None, found: tuple[Tensor, int]
) -> None:
    """The page of the encoder and the codebook, beside the run's report. Toys with classes of their own owe none."""
    if encoder is None or clips.labels is not None or distributed.start().rank:
        return
    labels, count = found
    first = clips.samples[:2].float() / (255 if clips.samples.dtype == torch.uint8 else 1)
    about = impute_pages.told(
        encoder,
        seen(first, video.window),
        video.objective.taps,
        video.dealing,
        quantiser=f"{video.quantiser} on what keyframes{' and text' if clips.text is not None else ''} say",
        classes=count,
    )
    said = embeddings(clips, video, encoder)
    text = {} if clips.text is None else {"text": clips.text, "keyframes": said[:, : -clips.text.shape[1]]}
    impute_pages.page(
        folder,
        said,
        labels,
        count,
        about,
        pictures=pictured(clips),
        conditions=text,
        families=[impute_pages.family(prompt) for prompt in clips.prompts],
    )


def pictured(clips: Clips) -> Tensor | None:
    """Some four frames of each clip, `n m 3 h w`; None where there are latents only."""
    frames = clips.samples if clips.shown is None else clips.shown.frames
    few = frames[:, :: max(1, (frames.shape[1] - 1) // 3)]
    return few if frames.shape[2] == 3 else None


def keys(video: Video, t: int) -> list[int]:
    """How many frames of t are keyframes at each gap."""
    return [1 + -(-(t - 1) // gap) for gap in video.gaps]


def refiner_run(
    clips: Clips,
    video: Video,
    encoder: Encoder | None,
    *,
    noise: Noise = none,
    about: dict[str, Any] | None = None,
    device: str = "auto",
    seed: int = 0,
    **fields: Any,
) -> Run:
    """The refiner, by an encoder that is trained."""
    labels, count = classes(clips, video, encoder, seed)
    described(
        fields.get("runs", Path("runs")) / fields.get("name", "impute"),
        clips,
        video,
        encoder,
        (labels, count),
    )
    dealing = replace(video.dealing, classes=min(video.dealing.classes, int(labels.unique().numel())))
    t, channels = clips.samples.shape[1:3]
    batch = keyframes(
        clips.samples,
        labels,
        classes=count,
        dealing=dealing,
        keys=Keys(counts=keys(video, t), fill=coarse(video.fill, device), noise=noise, replace=video.replace),
        shown=clips.shown,
        text=clips.text,
        seed=seed,
    )
    config = VideoConfig(
        channels=channels,
        patch=video.patch,
        side=min(clips.samples.shape[-2:]),
        trunk=replace(video.trunk, classes=count, text=0 if clips.text is None else clips.text.shape[1]),
    )
    return impute.refiner(
        batch,
        config,
        encoder,
        video.objective,
        view=partial(seen, window=video.window),
        device=device,
        seed=seed,
        batch_size=dealing.classes * dealing.generated,
        about={"clips": len(clips.samples), "classes": count, "fill": video.fill, "gaps": list(video.gaps)}
        | clips.about
        | (about or {}),
        **fields,
    )
