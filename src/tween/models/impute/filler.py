"""A refiner of clips as a `Filler`: some keyframes around a gap, any number of times in it, filled coarsely and then
refined in one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from tween.core import Filler, TweenError
from tween.models.impute.config import RELEASED
from tween.models.impute.corrupt import Noise, corrupt, none
from tween.models.impute.fills import Fill, by_filler
from tween.models.impute.framewise import decoded, encoded
from tween.models.impute.net import VideoRefiner
from tween.models.impute.tiles import tiled
from tween.nn.vae import WanVAE


@dataclass(frozen=True)
class Told:
    """What a fill is told: which of the frames it sees must stay as they are, and a text embedding `1 e`."""

    given: tuple[bool, ...]
    text: Tensor | None


@dataclass(frozen=True)
class Drawn:
    """The style of a clip, `b style`; None where there is one answer only. And where other noise begins."""

    noise: Tensor | None
    seed: int = 0


class ImputeFiller:
    """`past` keyframes before a gap and `future` after it.

    Args:
        net: its weights in fp32.
        coarse: what fills first, as it did in training; `tween fill --draft` shows it alone.
        codec: where the net refines latents. What this loses of the coarse fill is put back, so that what the net
            leaves alone keeps its detail.
        within: fills the latents of keyframes, as it did in training where that had no pictures; None: latents are
            those of what `coarse` fills.
        noise: what training added to what is missing.
        dtype: bf16 or fp16 runs the network under autocast.
    """

    most = 48  # two seconds at 24 frames a second; a gap that is cut in parts shows where

    def __init__(
        self,
        net: VideoRefiner,
        coarse: Filler,
        *,
        past: int = 2,
        future: int = 2,
        codec: WanVAE | None = None,
        within: Fill | None = None,
        noise: Noise = none,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.net, self.coarse, self.codec, self.dtype = net.eval(), coarse, codec, dtype
        self.within, self.noise = within, noise
        self.past, self.future = past, future
        self.multiple = max(net.config.patch * (codec.config.pixels if codec else 1), coarse.multiple)
        tiled = bool(net.config.side) and codec is None
        self.bytes_per_pixel = bytes_per_pixel(past + future + self.most, codec, tiled)

    def seeing(self, frames: int) -> ImputeFiller:
        """The same with `frames` keyframes around every gap: one or two on each side, as in training.

        Raises:
            TweenError: if there are fewer than 2 or more than 4.
        """
        if not 2 <= frames <= 4:
            raise TweenError(f"this model sees 2, 3 or 4 known frames, but --frames {frames} was asked for")
        return ImputeFiller(
            self.net,
            self.coarse,
            past=frames // 2,
            future=frames - frames // 2,
            codec=self.codec,
            within=self.within,
            noise=self.noise,
            dtype=self.dtype,
        )

    def condition(self, *, given: Sequence[bool], text: Tensor | None) -> Told:
        """What `fill` takes as `cond`.

        Args:
            given: of each of the past + future frames.
            text: `e`, or `l e`, which is averaged.

        Raises:
            TweenError: if the model takes no text, or one of another width.
        """
        width = self.net.config.trunk.text
        if text is not None and not width:
            raise TweenError(
                "this model takes no text; leave the text embedding out, or choose a model that does"
            )
        text = None if text is None else text.float().reshape(-1, text.shape[-1]).mean(0, keepdim=True)
        if text is not None and text.shape[-1] != width:
            raise TweenError(
                f"this model takes text embeddings of {width} values, but got {text.shape[-1]}; make it with the "
                f"encoder that the model's card names"
            )
        return Told(tuple(given), text)

    def begin(self, shape: tuple[int, int, int, int], *, seed: int, device: Any, dtype: Any) -> Drawn:
        """The style that `seed` draws."""
        style = self.net.config.trunk.style
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(shape[0], style, generator=generator).to(device) if style else None
        return Drawn(drawn, seed)

    @torch.inference_mode()
    def fill(
        self,
        state: Drawn,
        known: Tensor,
        known_t: Sequence[Fraction],
        query_t: Sequence[Fraction],
        cond: Told | None = None,
    ) -> tuple[Tensor, Drawn]:
        """As `Filler.fill`. A queried time may be that of a known frame: where that is not given, it is refined."""
        shown = {t: i for i, t in reversed(list(enumerate(known_t)))}
        times = sorted(shown.keys() | set(query_t))
        clip = torch.stack([known[:, shown.get(t, 0)] for t in times], 1).float()
        there = torch.tensor([t in shown for t in times], device=known.device)
        there = there.expand(len(clip), -1)
        coarse = by_filler(self.coarse)(clip, there, times)
        begun, lost = self.begun(coarse, there, times, state.seed)
        free = cond is not None and not all(cond.given)
        kept = [t in shown and not (free and not cond.given[shown[t]]) for t in times]
        made = self.refine(begun, torch.tensor(kept, device=known.device), times, state, cond)
        made = made if self.codec is None else decoded(self.codec, made) + lost
        at = [times.index(t) for t in query_t]
        return made[:, at].clamp(0, 1).to(known.dtype), state

    def begun(
        self, coarse: Tensor, there: Tensor, times: Sequence[Fraction], seed: int
    ) -> tuple[Tensor, Tensor | None]:
        """What the net takes of the coarse fill, `b t c h w`, and what the codec loses of it, `b t 3 h w`."""
        noised = partial(self.noised, there=there, times=times, seed=seed)
        if self.codec is None:
            return noised(coarse), None
        latents = encoded(self.codec, coarse)
        lost = coarse - decoded(self.codec, latents)
        if self.within is not None:
            return noised(self.within(latents, there, times)), self.within(lost, there, times)
        return latents if self.noise is none else encoded(self.codec, noised(coarse).clamp(0, 1)), lost

    def noised(self, filled: Tensor, there: Tensor, times: Sequence[Fraction], seed: int) -> Tensor:
        """What is filled, as training showed it."""
        generator = torch.Generator(filled.device).manual_seed(seed)
        return corrupt(
            filled, there, fill=lambda x, *_: x, noise=self.noise, times=times, generator=generator
        )[0]

    def refine(
        self, latents: Tensor, kept: Tensor, times: Sequence[Fraction], state: Drawn, cond: Told | None
    ) -> Tensor:
        """What the net makes of these in one step."""
        text = None if cond is None or cond.text is None else cond.text.to(latents).expand(len(latents), -1)
        side = self.net.config.side

        def net(part: Tensor) -> Tensor:
            return self.net(
                part,
                kept.expand(len(part), -1),
                noise=state.noise,
                text=text,
                times=paced(times).to(latents),
            ).float()

        with torch.autocast(latents.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return tiled(net, latents, side, side // 4) if side else net(latents)


def bytes_per_pixel(frames: int, codec: WanVAE | None, tiled: bool = False) -> float:
    """Of so many frames. Measured in fp32 on a CPU at 256x384: of pictures 610 a frame for 8 frames and 556 for 12; of
    latents 180 and 137, and 218 where tiles are as large. Besides, the widest maps of a codec, which sees one frame at
    a time: 21,700 of Wan's, at 128x192. Of pictures in tiles of 128, at 480x848: 89 for 11 frames, 97 for 19;
    at 256x384, where a tile counts for more: 196 for 19, 177 for 51."""
    if tiled:
        return 110.0 * frames
    if codec is None:
        return 620.0 * frames
    return 220.0 * frames + 230.0 * codec.config.decoder_width / codec.config.patch**2


def released(
    weights: Mapping[str, Tensor], coarse: Filler, device: torch.device, dtype: torch.dtype
) -> ImputeFiller:
    """The filler of a refiner of the shape `RELEASED`, over what `coarse` fills."""
    classes = len(weights["net.told.label.weight"]) - 1
    net = VideoRefiner(replace(RELEASED, trunk=replace(RELEASED.trunk, classes=classes)))
    net.load_state_dict(weights)
    return ImputeFiller(net.to(device), coarse, dtype=dtype)


def paced(times: Sequence[Fraction]) -> Tensor:
    """Times in frames: the least distance is 1."""
    least = min((b - a for a, b in pairwise(times)), default=Fraction(1))
    return torch.tensor([float((t - times[0]) / least) for t in times])
