"""A video's shots: runs of frames without a cut, and how much moves in each."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tween.video.coded import size
from tween.video.pick import stamps
from tween.video.read import open_reader
from tween.video.scenes import cuts, thumbnail

EVERY = 4  # motion is measured at every so many'th frame


class Shot(NamedTuple):
    """Frames `start` to before `end`, counted as `tween.video.pick.stamps` does; mean flow in pixels a frame."""

    start: int
    end: int
    flow: float


def find_shots(path: Path) -> list[Shot]:
    """All of a video's shots, in order.

    Raises:
        TweenError: if it cannot be decoded to its end.
    """
    number = {int(stamp): i for i, stamp in enumerate(stamps(path))}
    begins, flows, last, before = [], [], 0, None
    with open_reader(path) as reader:
        for i, (frame, cut) in enumerate(cuts(reader)):
            last = number.get(round(frame.time / reader.info.time_base), last + 1)
            if cut or not begins:
                begins.append(last)
                flows.append([])
                before = None
            if i % EVERY < 2:
                now = cv2.cvtColor(thumbnail(frame), cv2.COLOR_BGR2GRAY)
                if i % EVERY == 1 and before is not None:
                    flows[-1].append(_motion(before, now) * size(frame)[1] / now.shape[1])
                before = now
    ends = [*begins[1:], last + 1]
    means = (float(np.mean(flow)) if flow else 0.0 for flow in flows)
    return [Shot(*shot) for shot in zip(begins, ends, means, strict=True)]


def _motion(before: np.ndarray, now: np.ndarray) -> float:
    """Mean length of the flow between two grey thumbnails, in their pixels."""
    if min(now.shape) < 16:  # too small for the estimator
        return 0.0
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST).calc(before, now, None)
    return float(np.linalg.norm(flow, axis=-1).mean())
