"""How much memory a device has left, and what fits into it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from tween.core import Filler
from tween.infer.tile import Tiled

AVAILABLE = re.compile(
    r"^MemAvailable:\s+(\d+) kB", re.MULTILINE
)  # Linux; counts what caches would give back
PART = 0.8  # of what is free; the rest is for what other programs and the allocator do


def budget(device: Any) -> int | None:
    """Bytes that may be used on `device`; None where the system does not say."""
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(PART * (free + unused))
    if device.type == "cpu" and (found := AVAILABLE.search(_text(Path("/proc/meminfo")))):
        return int(PART * int(found[1]) * 1024)
    return None


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def fit(filler: Filler, bytes_free: int | None) -> Tiled:
    """The filler for frames of any size, in tiles where a whole frame would need more than `bytes_free`."""
    if bytes_free is None or not filler.bytes_per_pixel:
        return Tiled(filler)
    return Tiled(filler, pixels=max(1, int(bytes_free / filler.bytes_per_pixel)))


def peak(filler: Tiled, h: int, w: int) -> int:
    """Bytes that filling a frame of `h` x `w` takes at most, by the filler's own measured figure."""
    tile = filler.tiles(filler.up(h), filler.up(w))[0]
    return int(tile.h * tile.w * filler.bytes_per_pixel)
