"""Interlacing and telecine seen in decoded frames, whatever the file says."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

STEP = 10 / 255  # a line that lies so far off both its neighbours, to the same side, is a tooth of a comb
BLOCK = 16  # pixels
SKIP = 4  # every fourth column is enough: a comb is upright
TEETH = 0.4  # part of a block that must be teeth
CADENCE = 5  # film at 24 a second in 30: two of five frames are woven of two


def combed(before: Tensor, frame: Tensor) -> bool | None:
    """Whether `frame` (`c h w` in [0, 1]) is woven of two moments; None where nothing moved since `before`.

    Only what moved is looked at, so that stripes that stand still are no comb.
    """
    a, b = before[1, :, ::SKIP].contiguous(), frame[1, :, ::SKIP].contiguous()  # green is most of luma
    if b.shape[0] < 2 * BLOCK or b.shape[1] < BLOCK // SKIP:
        return None
    changed = (b - a).abs() > STEP
    if float(changed.float().mean()) < 1e-3:
        return None
    up, line, down = b[:-2], b[1:-1], b[2:]
    moved = changed[:-2] | changed[1:-1] | changed[2:]  # one field may be the one of the frame before
    above, below = line - up, line - down
    tooth = (above * below > STEP**2) & ((up - down).abs() < STEP) & moved
    return bool(F.avg_pool2d(tooth.float()[None], (BLOCK, BLOCK // SKIP)).max() > TEETH)


def verdict(flags: Sequence[bool | None], *, tagged: bool = False) -> tuple[str, str] | None:
    """What the frames are and the FFmpeg filter to run first, or None for progressive video.

    Args:
        flags: of `combed`, frame by frame.
        tagged: whether the file itself says that it is interlaced.
    """
    seen = [flag for flag in flags if flag is not None]
    part = sum(seen) / len(seen) if seen else 0.0
    if len(seen) >= 2 * CADENCE and 0.25 <= part <= 0.55 and _cadence(flags):
        return "telecined", "fieldmatch,decimate"
    if part > 0.5 or (tagged and part > 0.05):
        return "interlaced", "bwdif"
    return None


def _cadence(flags: Sequence[bool | None]) -> bool:
    pairs = [(a, b) for a, b in zip(flags, flags[CADENCE:], strict=False) if a is not None and b is not None]
    return bool(pairs) and sum(a == b for a, b in pairs) > 0.85 * len(pairs)
