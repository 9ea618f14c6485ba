"""Single frames out of a video, by their time stamps: what training draws needs few frames of many files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from tween.core import TweenError
from tween.video.coded import Planes
from tween.video.info import VideoInfo, opened, pictures, probe_file


@lru_cache(4096)
def stamps(path: Path) -> np.ndarray:
    """When each frame is shown, `n` int64, increasing, in the stream's time base. Nothing is decoded.

    Raises:
        TweenError: if it is no video, or its frames have no times.
    """
    with opened(path) as container:
        try:
            packets = container.demux(pictures(container))
            found = {p.pts for p in packets if p.pts is not None and not (p.is_discard or p.is_corrupt)}
        except av.error.FFmpegError as error:
            raise TweenError(
                f"expected a video, but {path} is damaged ({error.strerror}); copy it again"
            ) from None
    if not found:
        raise TweenError(f"expected frames with times, but {path} has none; write it anew as MP4 or Matroska")
    return np.array(sorted(found), np.int64)


def pick(path: Path, wanted: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """The frames shown at the stamps `wanted`, in that order, each `h w 3` uint8 RGB.

    Raises:
        TweenError: if one cannot be decoded.
    """
    missing, found = {int(w) for w in wanted}, {}
    for seek in (True, False):  # an index may be missing, or lead behind the frame: then from the beginning
        if missing:
            _collect(path, missing, found, seek=seek)
    if missing:
        raise TweenError(
            f"{path} should hold whole frames, but {len(missing)} of those asked for cannot be decoded; copy it again"
        )
    return [found[int(w)] for w in wanted]


@lru_cache(256)
def _info(path: Path) -> VideoInfo:
    return probe_file(path)


def _collect(path: Path, missing: set[int], found: dict[int, np.ndarray], *, seek: bool) -> None:
    """Moves stamps from `missing` to `found` until none is missing or all are behind."""
    info, last = _info(path), max(missing)
    with opened(path) as container:
        video = pictures(container)
        video.thread_type, video.thread_count = "SLICE", 1  # many processes draw at once
        try:
            if seek:
                container.seek(min(missing), stream=video)
            for frame in container.decode(video):
                if frame.pts in missing:
                    rgb = (Planes.of(frame, info.colour, alpha=False).rgb * 255).round().byte()
                    found[frame.pts] = rgb.permute(1, 2, 0).numpy()
                    missing.discard(frame.pts)
                if not missing or (frame.pts is not None and frame.pts > last):
                    return
        except av.error.FFmpegError as error:
            if seek:
                return
            raise TweenError(
                f"expected whole frames, but {path} is damaged ({error.strerror}); copy it again"
            ) from None
