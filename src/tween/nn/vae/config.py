"""Sizes of the autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

from tween.core import TweenError


@dataclass(frozen=True, kw_only=True)
class WanConfig:
    """Widths and strides, as in Wan 2.1 (arXiv 2503.20314, section 4.1).

    Attributes:
        latent: channels of a latent.
        width: of the encoder's first level.
        decoder_width: of the decoder's last level.
        multipliers: width of each level, fine to coarse, by that of the first.
        blocks: residual blocks of each level of the encoder; the decoder has one more.
        time: whether time, too, is halved between a level and the next.
        patch: pixels on a side that the network sees as one.
        linear: layers add to what principal components do; see `Linear`.
        whiten: 1: all components are as large; 0: each as large as it is in the picture, by one scale for all.
    """

    latent: int = 16
    width: int = 96
    decoder_width: int = 96
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2
    time: tuple[bool, ...] = (False, True, True)
    patch: int = 1
    linear: bool = False
    whiten: float = 1.0

    def __post_init__(self) -> None:
        if len(self.time) != len(self.multipliers) - 1:
            raise TweenError(
                f"an autoencoder of {len(self.multipliers)} levels needs {len(self.multipliers) - 1} values of "
                f"time, but got {len(self.time)}"
            )

    @property
    def frames(self) -> int:
        """That a latent stands for, but the first, which stands for one."""
        return 2 ** sum(self.time)

    @property
    def pixels(self) -> int:
        """Side in pixels of a latent's cell."""
        return self.patch * 2 ** len(self.time)


WAN = WanConfig()
"""Wan 2.1: 126,892,531 parameters. Its weights are not ours to ship: see `tween.nn.vae.convert`.

A decoded frame of 640x352 is 1.9 TFLOP; a session remembers 1.07 GB to decode and 0.63 GB to encode, in bf16.
"""

SMALL = WanConfig(
    latent=32,
    width=16,
    decoder_width=24,
    multipliers=(1, 2, 4),
    blocks=1,
    time=(True, True),
    patch=2,
    linear=True,
    whiten=0.5,
)
"""Ours, for small worlds: 3,373,740 parameters. No layer runs at full size, where Wan's decoder spends most time.

A decoded frame of 160x120 is 1.5 GFLOP: 25 ms of one core of a 2-core CPU in fp32, 10 ms in bf16; a session remembers
4.5 MB to decode and 1.6 MB to encode, in bf16.
"""
