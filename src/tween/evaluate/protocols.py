"""How papers measure on each set, to the letter. Numbers are comparable only between rows of one protocol.

`paper` is how most tables of a set are made, without flip averaging ("TTA"); `rife`, `ema`, `ifrnet` and `vfimamba` do
what the test scripts of those papers do for their headline numbers. `ema` is also VFIMamba's way but for X-TEST,
`ifrnet` also AMT's (on Xiph only AMT has a script). A set that a paper has no script for has no such protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tween.core import TweenError

Crop = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class Padding:
    """What is done to frames before they are filled.

    Attributes:
        words: for the result line.
        apply: `b c h w` to the padded frames and where the picture lies in them.
    """

    words: str
    apply: Callable[[Tensor], tuple[Tensor, Crop]]


def unpadded(frames: Tensor) -> tuple[Tensor, Crop]:
    """As they are: Vimeo-90K and UCF101 have sizes that suit every network. Where a set's sizes do not, the border is
    repeated right and below, as in a video."""
    return frames, (slice(None), slice(None))


def centred(frames: Tensor, divisor: int = 32) -> tuple[Tensor, Crop]:
    """Border repeated on all sides up to multiples of `divisor`, the odd pixel right and below."""
    h, w = frames.shape[-2:]
    top, left = (-h % divisor) // 2, (-w % divisor) // 2
    padded = F.pad(frames, (left, -w % divisor - left, top, -h % divisor - top), mode="replicate")
    return padded, (slice(top, top + h), slice(left, left + w))


def canvas(frames: Tensor) -> tuple[Tensor, Crop]:
    """Zeros right and below, up to 480 rows of 640."""
    h, w = frames.shape[-2:]
    padded = F.pad(frames, (0, max(640 - w, 0), 0, max(480 - h, 0)))
    return padded, (slice(h), slice(w))


NONE = Padding(words="to the network's multiple", apply=unpadded)
ZEROS = Padding(words="zeros to 640x480", apply=canvas)


def around(divisor: int) -> Padding:
    """`centred` to multiples of `divisor`."""
    return Padding(words=f"replicate /{divisor} centred", apply=partial(centred, divisor=divisor))


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to measure.

    Attributes:
        name: of the paper whose test script does so.
        rounded: what is made is rounded to 8 bits before PSNR and SSIM. The interpolation error is of 8-bit pictures
            always.
        scale: motion is estimated at this fraction of the frame's size, by networks that have no rule of their own.
        tta: averaged with what is made of the frames turned by 180 degrees.
        times: a frame at k / 2^n straight from its two known ones, or by halving, each step from frames made before.
        ssim: `matlab` is ssim_matlab, with a window over the channels too; `uniform` is scikit-image's default.
    """

    name: str
    rounded: bool
    padding: Padding = NONE
    scale: float = 1.0
    tta: bool = False
    times: Literal["direct", "recursive"] = "direct"
    ssim: Literal["matlab", "uniform"] = "matlab"

    def __str__(self) -> str:
        rounding = "8-bit" if self.rounded else "unrounded"
        ssim = "ssim_matlab" if self.ssim == "matlab" else "scikit-image's SSIM"
        flips = "TTA by a half turn" if self.tta else "no TTA"
        return (
            f"{self.name} protocol: {rounding} PSNR and {ssim}, padding {self.padding.words}, "
            f"flow scale {self.scale:g}, t {self.times}, {flips}"
        )


def _named(**ways: Protocol) -> dict[str, Protocol]:
    return {name: replace(way, name=name) for name, way in ways.items()}


_exact, _rounded = Protocol(name="", rounded=False), Protocol(name="", rounded=True)

VIMEO = _named(paper=_exact, rife=_rounded, ema=replace(_exact, tta=True), ifrnet=_exact)
UCF101 = _named(paper=_rounded, rife=_rounded, ema=replace(_rounded, tta=True), ifrnet=_exact)
MIDDLEBURY = _named(
    paper=replace(_rounded, padding=ZEROS),
    rife=replace(_rounded, padding=ZEROS),
    ema=replace(_rounded, padding=around(32), tta=True),
    ifrnet=replace(_exact, padding=ZEROS),
)
SNU_FILM = _named(
    paper=replace(_exact, padding=around(32)),
    ema=replace(_exact, padding=around(32), scale=0.5, tta=True),
    ifrnet=replace(_exact, padding=around(20), scale=0.8),
)
SNU_FILM_ARB = _named(paper=replace(_exact, padding=around(32)))


def _xtest(scale: float) -> dict[str, Protocol]:
    plain = replace(_rounded, padding=around(32), scale=scale)
    turned = replace(plain, tta=True)
    return _named(paper=plain, ema=turned, vfimamba=replace(turned, times="recursive"))


XIPH = _named(
    paper=replace(_rounded, padding=around(16), ssim="uniform"),
    ema=replace(_rounded, padding=around(16), scale=0.5, tta=True, ssim="uniform"),
    ifrnet=replace(_exact, padding=around(32), scale=0.5),
)

LEVELS = ("easy", "medium", "hard", "extreme")
PROTOCOLS: Mapping[str, Mapping[str, Protocol]] = {
    **dict.fromkeys(("triplets", "folder", "vimeo"), VIMEO),
    "vimeo-septuplet": _named(paper=_exact),
    "ucf101": UCF101,
    **{f"snu-film-{level}": SNU_FILM for level in LEVELS},
    **{f"snu-film-arb-{level}": SNU_FILM_ARB for level in LEVELS[1:]},
    "xtest-4k": _xtest(0.25),
    "xtest-2k": _xtest(0.5),
    **dict.fromkeys(("xiph-2k", "xiph-4k"), XIPH),
    "middlebury": MIDDLEBURY,
}
"""Of each set, its first is the one used where none is asked for."""


def choose(dataset: str, name: str | None = None) -> Protocol:
    """The protocol `name` of a set, or its first."""
    if dataset not in PROTOCOLS:
        raise TweenError(
            f"there is no dataset {dataset!r} to measure on; choose one of {', '.join(PROTOCOLS)}"
        )
    protocols = PROTOCOLS[dataset]
    if name is None:
        return next(iter(protocols.values()))
    if name not in protocols:
        raise TweenError(f"{dataset} has no protocol {name!r}; choose one of {', '.join(protocols)}")
    return protocols[name]


def table() -> str:
    """Every protocol of every set as Markdown; sets measured alike share their rows."""
    groups: dict[int, list[str]] = {}
    for name, ways in PROTOCOLS.items():
        groups.setdefault(id(ways), []).append(name)
    columns = ("sets", "protocol", "PSNR, SSIM of", "SSIM", "padding", "flow scale", "t", "TTA")
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    rows = [
        f"| {', '.join(names)} | {name} | {'8-bit' if way.rounded else 'unrounded'} | {way.ssim} | "
        f"{way.padding.words} | {way.scale:g} | {way.times} | {'half turn' if way.tta else 'no'} |"
        for names in groups.values()
        for name, way in PROTOCOLS[names[0]].items()
    ]
    return "\n".join([head, *rows])
