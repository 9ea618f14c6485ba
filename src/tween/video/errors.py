"""What the operating system and FFmpeg say when writing fails, as sentences."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import av

from tween.core import TweenError


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn their errors inside the block into a `TweenError`; `what` names the encoder and container."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise TweenError(
                f"the disk is full ({error.strerror}); free some space or write elsewhere, nothing was left behind"
            ) from None
        raise TweenError(
            f"{what} was refused ({error.strerror or error}); try another codec, rate, pixel format or preset, "
            "or a suffix such as .mp4 or .mkv"
        ) from None
