"""How papers measure on each set, to the letter. Numbers are comparable only between rows of one protocol.

Never flip-averaged ("TTA"), which the headline numbers of EMA-VFI and VFIMamba are. `ema` is also VFIMamba's way,
`ifrnet` also AMT's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from tween.core import TweenError

Crop = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to measure.

    Attributes:
        name: of the paper whose test script does so.
        rounded: PSNR and SSIM of pictures rounded to 8 bits. The interpolation error always is.
        pad: `b c h w` to the padded frames and where the picture lies in them.
        padding: what `pad` does, in words.
    """

    name: str
    rounded: bool
    pad: Callable[[Tensor], tuple[Tensor, Crop]]
    padding: str

    def __str__(self) -> str:
        rounding = "8-bit" if self.rounded else "unrounded"
        return f"{self.name} protocol: {rounding} PSNR and ssim_matlab, padding {self.padding}, no TTA"


def unpadded(frames: Tensor) -> tuple[Tensor, Crop]:
    """As they are: Vimeo-90K and UCF101 have sizes that suit every network. Where a set's sizes do not, the border is
    repeated right and below, as in a video."""
    return frames, (slice(None), slice(None))


def centred(frames: Tensor) -> tuple[Tensor, Crop]:
    """Border repeated on all sides up to multiples of 32, the odd pixel right and below."""
    h, w = frames.shape[-2:]
    top, left = (-h % 32) // 2, (-w % 32) // 2
    padded = F.pad(frames, (left, -w % 32 - left, top, -h % 32 - top), mode="replicate")
    return padded, (slice(top, top + h), slice(left, left + w))


def canvas(frames: Tensor) -> tuple[Tensor, Crop]:
    """Zeros right and below, up to 480 rows of 640."""
    h, w = frames.shape[-2:]
    padded = F.pad(frames, (0, max(640 - w, 0), 0, max(480 - h, 0)))
    return padded, (slice(h), slice(w))


def _protocols(*choices: tuple[str, bool, Callable[[Tensor], tuple[Tensor, Crop]]]) -> dict[str, Protocol]:
    words = {
        unpadded: "to the network's multiple",
        centred: "replicate /32 centred",
        canvas: "zeros to 640x480",
    }
    return {n: Protocol(name=n, rounded=r, pad=p, padding=words[p]) for n, r, p in choices}


PROTOCOLS: dict[str, dict[str, Protocol]] = {
    "triplets": _protocols(("ema", False, unpadded), ("ifrnet", False, unpadded), ("rife", True, unpadded)),
    "ucf101": _protocols(("rife", True, unpadded), ("ema", True, unpadded), ("ifrnet", False, unpadded)),
    "middlebury": _protocols(("rife", True, canvas), ("ifrnet", True, canvas), ("ema", True, centred)),
}
"""Of each set, its first is the one used where none is asked for."""


def choose(dataset: str, name: str | None = None) -> Protocol:
    """The protocol `name` of a set, or its first."""
    if dataset not in PROTOCOLS:
        raise TweenError(f"there is no dataset {dataset!r}; choose one of {', '.join(PROTOCOLS)}")
    protocols = PROTOCOLS[dataset]
    if name is None:
        return next(iter(protocols.values()))
    if name not in protocols:
        raise TweenError(f"{dataset} has no protocol {name!r}; choose one of {', '.join(protocols)}")
    return protocols[name]
