"""What a stream network is made of, and two of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tween.core import TweenError
from tween.models.stream.actions import GTA_DRIVE, TEMPLERUN, UNIVERSAL, Mode


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which latents a block sees (`timeline.seen`).

    Attributes:
        block: latents that are made together.
        window: latents that are seen, those of the own block among them.
        sink: how many of them are the first of the stream, whatever happens later.
    """

    block: int = 3
    window: int = 6
    sink: int = 0

    def __post_init__(self) -> None:
        if self.block < 1 or self.sink < 0 or self.window < self.block + self.sink:
            raise TweenError(
                f"a window holds at least the own block and the sink, but got window {self.window} for "
                f"block {self.block} and sink {self.sink}; raise the window"
            )


@dataclass(frozen=True, kw_only=True)
class ActionConfig:
    """The action modules.

    Attributes:
        layers: in that many of the first blocks.
        width, heads: of their attention over time.
        embed: width of one action's keys.
        modulate: actions also join the level of noise in what shifts and scales every layer (as toy-wm does); small
            worlds learn to obey sooner.
    """

    layers: int = 4
    width: int = 128
    heads: int = 4
    embed: int = 32
    modulate: bool = False


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """A block-causal transformer over latents.

    Attributes:
        channels: of a latent.
        patch: side of a token, in latent pixels.
        width, layers, heads, ffn: of the transformer; ffn is the hidden width.
        context: width of the tokens that describe the seed picture (CLIP's, 1280); 0 for none.
    """

    channels: int = 16
    patch: int = 2
    width: int = 256
    layers: int = 8
    heads: int = 4
    ffn: int = 1024
    mode: Mode = field(default_factory=lambda: UNIVERSAL)
    rule: Rule = field(default_factory=Rule)
    action: ActionConfig = field(default_factory=ActionConfig)
    context: int = 0

    def __post_init__(self) -> None:
        for width, heads in ((self.width, self.heads), (self.action.width, self.action.heads)):
            if width % (2 * heads):
                raise TweenError(f"heads have an even width each, but got {heads} heads for width {width}")


DOOM = StreamConfig(channels=32, rule=Rule(block=1), action=ActionConfig(modulate=True))
"""Our small world. Of blocks of one latent, four frames: what is pressed shows within a quarter of a second, and a toy
world learned sooner so than with blocks of three; on Doom that is not measured."""

MATRIX_GAME_2 = StreamConfig(
    width=1536,
    layers=30,
    heads=12,
    ffn=8960,
    action=ActionConfig(layers=15, width=1024, heads=16, embed=128),
    context=1280,
)
"""Matrix-Game 2 (Skywork, 2025), universal: 352x640 frames are 44x80 latents, 880 tokens each."""

MATRIX_GAME_2_GTA = replace(MATRIX_GAME_2, mode=GTA_DRIVE, rule=Rule(window=4))
"""The same for `gta_drive`."""

MATRIX_GAME_2_TEMPLERUN = replace(MATRIX_GAME_2, mode=TEMPLERUN)
"""The same for `templerun`, which has keys only."""
