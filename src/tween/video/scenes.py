"""Hard cuts, found while the frames stream by. A flash is not a cut.

PySceneDetect's `AdaptiveDetector` proposes: a frame starts a scene where its content score (mean change of hue,
saturation and value) stands out from the scores around it, so that fast camera motion is not taken for cuts.
A proposal falls if the picture before it is soon back: then a flash lit the scene.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode, StatsManager
from torch import Tensor
from torch.nn import functional as F

from tween.core import Frame

ADAPTIVE = 2.0  # times the mean score of its surroundings
WINDOW = 2  # pictures on each side that a score is compared with
FLASH = 4  # a picture that is back within so many was interrupted by a flash
HOLD = 4  # frames that show one drawing are scored once: else every drawing held for 3 or 4 frames stands out
BACK = (
    0.5  # a picture is back when it differs from the one before the flash by less than this part of the jump
)
WIDTH = 256  # pixels; scores are taken on thumbnails
RATE = 25.0  # the detector counts pictures; its clock is not used

Drawing = tuple[list[Frame], np.ndarray]


def cuts(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Each frame with True where a cut lies just before it.

    Frames are held back until `FLASH` different pictures follow them, a picture being one frame, or up to `HOLD`
    equal ones: 4 frames for film, 16 at most.
    """
    for (held, _), cut in _decide(_drawings(frames)):
        yield held[0], cut
        for frame in held[1:]:
            yield frame, False


def thumbnail(rgb: Tensor) -> np.ndarray:
    """`h w 3` uint8 BGR of a frame `c h w` in [0, 1], shrunk by a whole factor to `WIDTH` pixels or a few more."""
    step = min(max(1, rgb.shape[2] // WIDTH), rgb.shape[1])
    small = F.avg_pool2d(rgb[:3], step) if step > 1 else rgb[:3]
    pixels = (small.clamp(0, 1) * 255).round().byte().flip(0).permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy())


def _drawings(frames: Iterable[Frame]) -> Iterator[Drawing]:
    held: list[Frame] = []
    picture = None
    for frame in frames:
        new = thumbnail(frame.rgb)
        if picture is not None and (len(held) == HOLD or not _same(picture, new)):
            yield held, picture
            held = []
        if not held:
            picture = new
        held.append(frame)
    if picture is not None:
        yield held, picture


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether thumbnails differ by no more than noise; motion of a small part is no cut either, so means will do."""
    return float(np.abs(a.astype(np.int16) - b).mean()) < 1


def _decide(drawings: Iterable[Drawing]) -> Iterator[tuple[Drawing, bool]]:
    detector = AdaptiveDetector(ADAPTIVE, min_scene_len=1, window_width=WINDOW, luma_only=True)
    proposed: set[int] = set()
    before: deque[np.ndarray] = deque(maxlen=FLASH)
    ahead: deque[Drawing] = deque()
    given = seen = 0

    def see(picture: np.ndarray) -> None:
        """The first and the last picture are seen again so that each has its window: their own score is 0 then."""
        nonlocal seen
        proposed.update(
            c.frame_num - WINDOW for c in detector.process_frame(FrameTimecode(seen, RATE), picture)
        )
        seen += 1

    def give() -> tuple[Drawing, bool]:
        nonlocal given
        cut = given in proposed and bool(before) and not _flash(before, [picture for _, picture in ahead])
        proposed.discard(given)
        given += 1
        drawing = ahead.popleft()
        before.append(drawing[1])
        return drawing, cut

    for drawing in drawings:
        ahead.append(drawing)
        for _ in range(1 if seen else WINDOW + 1):
            see(drawing[1])
        if len(ahead) > FLASH:
            yield give()
    for _ in range(WINDOW if ahead else 0):
        see(ahead[-1][1])
    while ahead:
        yield give()


def _flash(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> bool:
    """Whether a picture of `before` is back in `after`: the jump between them goes up and down again."""
    jump = score(before[-1], after[0])
    back = [score(before[-1], picture) for picture in list(after)[1:FLASH]]
    back += [score(picture, after[0]) for picture in list(before)[-FLASH:-1]]
    return min(back, default=jump) < BACK * jump


def score(a: np.ndarray, b: np.ndarray) -> float:
    """PySceneDetect's content score of two thumbnails: mean change of hue, saturation and value, 0 to 255."""
    detector, values = ContentDetector(luma_only=True), StatsManager()
    detector.stats_manager = values
    for number, picture in enumerate((a, b)):
        detector.process_frame(FrameTimecode(number, RATE), picture)
    return values.get_metrics(FrameTimecode(1, RATE), [ContentDetector.FRAME_SCORE_KEY])[0]
