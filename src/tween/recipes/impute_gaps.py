"""How the refiner of clips that is released is trained: gaps of 4, 8 and 16 frames with the keyframes around them, just
as it is used, over what an interpolator fills. The coarse fills are made once, before training."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.data.stretches import films, numbers, squares_of
from tween.engine.run import Run
from tween.metrics import psnr
from tween.models.impute.config import RELEASED, EncoderConfig, VideoConfig
from tween.models.impute.encoder import Encoder
from tween.models.impute.fills import Fill
from tween.models.impute.framewise import decoded, encoded
from tween.models.impute.task import Classes, Objective, level
from tween.nn.vae import WanVAE
from tween.recipes import impute, impute_video
from tween.recipes.impute_feeds import Batch, Dealing, as_float
from tween.recipes.impute_video import Clips, Video
from tween.zoo.load import place

CHUNK = 16
SAME = 45.0
"""dB from which on nobody tells a frame from the true one: still scenes shall not outvote the others."""
BOTH = 0.6  # share of the batches that have both outer keyframes; at the ends of a clip there are none
PAIRED = 20.0
"""So that the error leads and drifting follows: what is given back must not be worse than the fill. Each drifting pull
has size 1 however near it is to its goal, so it moves on when the error's gradient has become small."""
EVEN = 1e-4
"""40 dB: below that an error is not worth a model's attention."""

VIDEO = Video(
    fill="fast",
    encoder=EncoderConfig(width=24, blocks=(1, 1, 1), large=True, groups=8),
    codes=(64, 32),
    dealing=Dealing(classes=8, generated=4, positives=12, anything=0, plain=1.0),
    objective=Objective(paired=PAIRED, even=EVEN, unnamed=impute_video.UNNAMED),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Gaps:
    """Stretches and their coarse fills, on the device.

    Attributes:
        clips: `n t c h w`, uint8 pictures or fp16 latents; t = 3 m + 1 for the longest gap m.
        coarse: gap g -> `n g-1 c h w`, likewise: the frames between `m` and `m + g`.
    """

    clips: Tensor
    coarse: dict[int, Tensor]

    @property
    def longest(self) -> int:
        """m."""
        return max(self.coarse)


@torch.no_grad()
def filled(clips: Tensor, gaps: tuple[int, ...], fill: Fill) -> Gaps:
    """The coarse fill of every gap.

    Raises:
        TweenError: if the stretches are shorter than the gaps need.
    """
    if clips.shape[1] != 3 * max(gaps) + 1:
        raise TweenError(
            f"gaps of {max(gaps)} need stretches of {3 * max(gaps) + 1} frames, but these have {clips.shape[1]}"
        )
    coarse: dict[int, Tensor] = {}
    for gap in gaps:
        at = numbers(gap, max(gaps))
        known = torch.ones(len(at), dtype=torch.bool, device=clips.device)
        known[2:-2] = False
        parts = []
        for part in clips.split(CHUNK):
            made = fill(part[:, at].float() / 255, known.expand(len(part), -1), at)[:, 2:-2]
            parts.append((made.clamp(0, 1) * 255).round().byte())
        coarse[gap] = torch.cat(parts)
    return Gaps(clips=clips, coarse=coarse)


def in_latents(gaps: Gaps, vae: WanVAE) -> Gaps:
    """The same in latents, frame by frame: pictures were filled before, as they are in use."""
    coarse = {gap: impute_video.in_latents(made, vae) for gap, made in gaps.coarse.items()}
    return Gaps(clips=impute_video.in_latents(gaps.clips, vae), coarse=coarse)


def sequence(gaps: Gaps, gap: int, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Truth and coarse fill of some stretches, `r g+3 c h w` each."""
    truth = gaps.clips[rows][:, numbers(gap, gaps.longest)]
    return truth, torch.cat([truth[:, :2], gaps.coarse[gap][rows], truth[:, -2:]], 1)


def feed(gaps: Gaps, labels: Tensor, classes: int, dealing: Dealing, seed: int = 0) -> Batch:
    """Batches of one gap each, mirrored and reversed at random, with both outer keyframes or without."""
    some, sizes, where = replace(dealing, anything=0), sorted(gaps.coarse), gaps.clips.device
    queues = some.queues(labels, classes, seed)

    def batch(index: int) -> Classes:
        dealt = some.deal(queues, index)
        rng = random.Random(f"{seed}/gap/{index}")
        gap, back, left, right = sizes[index % len(sizes)], *(rng.random() for _ in range(3))
        keep = slice(0 if left < BOTH else 1, gap + (3 if right < BOTH else 2))
        both = torch.cat(sequence(gaps, gap, dealt.targets.flatten().to(where)), 1)
        truth, coarse = as_float(both, axes=4).chunk(2, 1)
        positives = gaps.clips[dealt.positives.to(where)][:, :, numbers(gap, gaps.longest)]
        times = torch.tensor(numbers(gap, gaps.longest), device=where)[keep]
        turn = partial(turned, back=back < 0.5, keep=keep)
        return Classes(
            labels=dealt.labels.to(where),
            alpha=torch.ones(len(dealt.labels), device=where),
            truth=turn(truth),
            coarse=turn(coarse),
            known=given(len(times), gap, keep.start, where).expand(len(truth), -1),
            positives=turn(as_float(positives, axes=4), axis=2),
            anything=truth[:0],
            weights=dealt.target_weights.to(where),
            positive_weights=dealt.positive_weights.to(where),
            times=times - times[0],
        )

    return batch


def turned(frames: Tensor, *, back: bool, keep: slice, axis: int = 1) -> Tensor:
    """Backwards or not, and without the outer keyframes that are not kept."""
    frames = frames.flip(axis) if back else frames
    return frames.narrow(axis, keep.start, keep.stop - keep.start)


def given(t: int, gap: int, first: int, device: Any) -> Tensor:
    """`t` bool: all but the inside of the gap; `first` frames were left out before."""
    known = torch.ones(t, dtype=torch.bool, device=device)
    known[2 - first : 2 - first + gap - 1] = False
    return known


@torch.no_grad()
def judged(modules: nn.ModuleDict, step: int, *, held: Gaps, vae: WanVAE | None = None) -> dict[str, float]:
    """PSNR in dB of missing frames by gap, each `SAME` at most, `psnr` of all gaps, and `gain` over the coarse fill.

    Args:
        held: pictures.
        vae: of a refiner of latents.
    """
    net, found, before = partial(answer, modules["refiner"], vae), {}, []
    for gap in sorted(held.coarse):
        known = given(gap + 3, gap, 0, held.clips.device)
        times = torch.tensor(numbers(gap, held.longest), device=held.clips.device)
        made, coarse = [], []
        for rows in torch.arange(len(held.clips), device=held.clips.device).split(CHUNK):
            truth, fill = (x.float() / 255 for x in sequence(held, gap, rows))
            mask = known.expand(len(rows), -1)
            for x, values in ((net(fill, mask, times - times[0]), made), (fill, coarse)):
                values.append(psnr(*(y[:, 2:-2].flatten(0, 1) for y in (x, truth))).clamp(max=SAME))
        found[f"psnr_{gap}"] = float(torch.cat(made).mean())
        before.append(float(torch.cat(coarse).mean()))
    whole = sum(found.values()) / len(found)
    return found | {"psnr": whole, "gain": whole - sum(before) / len(before)}


def answer(net: nn.Module, vae: WanVAE | None, fill: Tensor, known: Tensor, times: Tensor) -> Tensor:
    """What `net` makes of pictures `b t 3 h w` in [0, 1], as the filler of it would."""
    latents = fill if vae is None else encoded(vae, fill)
    made = net(latents, known, level=level(known), times=times)
    if vae is not None:
        made = fill + decoded(vae, made) - decoded(vae, latents)
    return made.clamp(0, 1)


def stretches(
    data: Path, packed: Path, *, count: int, side: int, longest: int, hold_out: int, device: str, workers: int
) -> tuple[Tensor, Tensor]:
    """So many to learn from, and a fiftieth (8 at least) to validate on, of other shots where some are held out."""
    t, where = 3 * longest + 1, place(device)
    same = {"t": t, "workers": workers}
    made = squares_of(films(data, packed, hold_out=hold_out, **same), count, side=side, **same)
    shown = films(data, packed, hold_out=-hold_out, **same)
    held = squares_of(shown, max(8, count // 50), side=side, seed=1, **same)
    return made.to(where), held.to(where)


def gaps_run(
    learned: Gaps,
    held: Gaps,
    video: Video,
    encoder: Encoder | None,
    config: VideoConfig = RELEASED,
    *,
    vae: WanVAE | None = None,
    seed: int = 0,
    about: dict[str, Any] | None = None,
    **fields: Any,
) -> Run:
    """The refiner, by an encoder that is trained; the best by PSNR is kept.

    Args:
        held: pictures.
        vae: where `learned` are latents; `about` then names it, see `named`.
    """
    clips, longest = learned.clips, learned.longest
    inner = clips[:, longest : 2 * longest + 1]
    labels, count = impute_video.classes(Clips(samples=inner), video, encoder, seed)
    folder = fields.get("runs", Path("runs")) / fields.get("name", "impute")
    impute_video.described(folder, Clips(samples=inner), video, encoder, (labels, count))
    dealing = replace(video.dealing, classes=min(video.dealing.classes, int(labels.unique().numel())))
    config = replace(config, side=clips.shape[-1], trunk=replace(config.trunk, classes=count))
    return impute.refiner(
        feed(learned, labels, count, dealing, seed),
        config,
        encoder,
        video.objective,
        view=partial(impute_video.seen, window=video.window),
        seed=seed,
        batch_size=dealing.classes * dealing.generated,
        validate=partial(judged, held=held, vae=vae),
        best_key="psnr",
        about={"clips": len(clips), "classes": count, "fill": video.fill, "gaps": list(video.gaps)}
        | (about or {}),
        **fields,
    )
