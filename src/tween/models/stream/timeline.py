"""Which latent shows which frames, sees which latents, and hears which actions.

A causal video autoencoder makes the first frame a latent of its own and every later four frames one latent: n latents
are 1 + 4 (n - 1) frames. A block of 3 latents is therefore 9 frames when it is the first, 12 frames later on.
"""

from __future__ import annotations

from tween.core import TweenError

STRIDE = 4
"""Frames of a latent, except the first."""

HEARD = 12
"""Actions that a latent hears: those of three latents."""


def frames_of(latents: int) -> int:
    """Frames that `latents` >= 1 latents decode to."""
    if latents < 1:
        raise TweenError(f"a stream has at least 1 latent, but got {latents}")
    return 1 + STRIDE * (latents - 1)


def latents_of(frames: int) -> int:
    """Latents that `frames` frames encode to.

    Raises:
        TweenError: unless `frames` is 1 more than a multiple of 4; encoders drop the rest in silence.
    """
    if frames < 1 or frames % STRIDE != 1:
        raise TweenError(
            f"latents are made of 1, 5, 9, 13, ... frames, but got {frames}; "
            f"leave out the last {(frames - 1) % STRIDE or 'of them'}"
        )
    return 1 + (frames - 1) // STRIDE


def shown(latent: int) -> range:
    """The frames of one latent."""
    return range(max(0, STRIDE * latent - STRIDE + 1), STRIDE * latent + 1)


def block_latents(block: int, size: int = 3) -> range:
    """The latents of a block of `size` latents."""
    return range(block * size, (block + 1) * size)


def block_frames(block: int, size: int = 3) -> range:
    """The frames of a block of `size` latents: 9, then 12 for size 3."""
    latents = block_latents(block, size)
    return range(shown(latents[0]).start, shown(latents[-1]).stop)


def heard(latent: int) -> list[int]:
    """The actions a latent hears, by frame, oldest first; before frame 0 the first action stands in.

    Action k is pressed at frame k and moves the world to frame k + 1, so the newest action that the frames
    4l - 3 .. 4l of latent l hear is 4l - 1.
    """
    return [max(0, k) for k in range(STRIDE * latent - HEARD, STRIDE * latent)]


def seen(block: int, *, size: int, window: int, sink: int = 0) -> list[int]:
    """The latents that a block sees, itself among them: the first `sink`, then the newest, `window` in all."""
    end = (block + 1) * size
    if end <= window:
        return list(range(end))
    return [*range(sink), *range(end - window + sink, end)]
