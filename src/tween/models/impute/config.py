"""Sizes of the refiners and of the networks whose features they drift in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tween.core import TweenError


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A transformer and what it is told.

    Attributes:
        width, layers, heads, ffn: ffn is the hidden width of the gated MLP.
        classes: that are told apart; label `classes` means that none is known.
        style: values of the noise that tells equally good answers apart; 0 for none.
        text: width of a text embedding; 0 for none.
        explicit: every block also looks at the keyframes as they were given, beside finding them among its tokens.
        clamp: what is given comes out as it went in. Else the refiner may change it, as it was trained to.
        residual: the network's answer is added to its input, else it stands for itself.
    """

    width: int = 384
    layers: int = 8
    heads: int = 6
    ffn: int = 1024
    classes: int = 10
    style: int = 0
    text: int = 0
    explicit: bool = False
    clamp: bool = False
    residual: bool = True

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise TweenError(
                f"heads have an even width each, but got {self.heads} heads for width {self.width}"
            )


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """A refiner of pictures as patches.

    Attributes:
        grid: rows and columns of patches.
        values: of a patch.
    """

    grid: tuple[int, int] = (8, 8)
    values: int = 48
    trunk: Trunk = field(default_factory=Trunk)


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """A refiner of clips, of pictures or of latents.

    Attributes:
        channels: 3 for pictures, those of a latent else.
        patch: side of a token, in pixels or latent pixels.
        side: of what it was trained on; larger frames are refined in tiles of this side that overlap, since attention
            over more places than ever seen is another task. 0: whole.
        calm: difference of keyframes below which the coarse fill hardly changes: where all of them agree it is right
            already, and their noise is nothing to learn from. 0: it may change anywhere.
        mix: width of convolutions that see, beside what the transformer says, the fill and what else a frame could be
            (`mix.views`), and take so much of each, pixel by pixel; 0: what the transformer says is added.
        reach: with `mix`, the unit of what is painted besides: a fill is off by some hundredths.
    """

    channels: int = 16
    patch: int = 2
    side: int = 0
    calm: float = 0.0
    mix: int = 0
    reach: float = 0.02
    trunk: Trunk = field(default_factory=Trunk)

    def __post_init__(self) -> None:
        if self.mix and not self.trunk.residual:
            raise TweenError(
                "a mix begins with the coarse fill, but the trunk's answer stands for itself; leave one of them out"
            )


WAN_1_3B = VideoConfig(trunk=Trunk(width=1536, layers=30, heads=12, ffn=5973, classes=1024))
"""The shape of Wan 2.1's small transformer (1536 wide, 30 layers; 8960 in an MLP without gate is 5973 in one with):
21 latents of 480x832 are 32,760 tokens."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """A residual network of basic blocks (He et al., CVPR 2016) with group normalisation, and a head for classes.

    Attributes:
        channels: 3 for pictures, those of a latent else.
        width: of the stem and the first stage; every further stage doubles it and halves the picture.
        blocks: of each stage.
        large: a stem that quarters the picture first, for sides from 64 on.
        groups: of the normalisation, at most.
        classes: of the head.
    """

    channels: int = 3
    width: int = 64
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    large: bool = False
    groups: int = 32
    classes: int = 10


RESNET18 = EncoderConfig()
"""For pictures of 32 pixels."""

RESNET18_LARGE = replace(RESNET18, large=True)
"""For 64 pixels and more: the seed's."""

LATENT_MAE = EncoderConfig(channels=4, width=256, blocks=(3, 4, 6, 3))
"""For latents of 32x32x4: the drifting paper's ablations (arXiv 2602.04770, A.3)."""


@dataclass(frozen=True, kw_only=True)
class Taps:
    """Which features of an encoder drift.

    Attributes:
        stem: the stem's output, too.
        every: also the output of every so many blocks within a stage; 0: only the stages'.
        locations: each location by itself, too.
        patches: sides of the squares whose means and deviations are taken, in cells of the feature map.
        most: vectors of one kind from one map; evenly chosen where there are more.
        plain: the samples themselves, too (drifting without features).
    """

    stem: bool = False
    every: int = 0
    locations: bool = False
    patches: tuple[int, ...] = (2, 4)
    most: int = 16
    plain: bool = False


SEED = Taps()
"""The image pivot's: 125 vectors at 64 pixels, 241 at 256; `plain` adds one."""

LIGHT = Taps(patches=())
"""Its light set: 9 vectors."""

PAPER = Taps(stem=True, every=2, locations=True, most=1 << 20)
"""The drifting paper's (appendix A.5)."""

RELEASED = VideoConfig(
    channels=3,
    patch=8,
    side=128,
    calm=0.03,
    mix=32,
    trunk=Trunk(width=192, layers=5, heads=3, ffn=512, classes=64, clamp=True),
)
"""The refiner of clips that is released, of pictures as patches: 3.0 million weights, no autoencoder."""

PIVOT = Taps(stem=True, every=2, locations=True, most=256, plain=True)
"""The same, but of large maps 256 places, evenly spread: every pixel of a small picture is in sight of one."""
