"""The maps of a WAD file and where their players start (doomwiki.org/wiki/WAD)."""

from __future__ import annotations

import struct
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

STARTS = (1, 2, 3, 4, 11)  # types of things: player one to four, and deathmatch


@cache
def lumps(path: Path) -> tuple[tuple[str, int, int], ...]:
    """(name, offset, bytes) of everything in the file, in order."""
    with path.open("rb") as file:
        _, count, offset = struct.unpack("<4sii", file.read(12))
        file.seek(offset)
        table = file.read(16 * count)
    return tuple(
        (name.rstrip(b"\0").decode("ascii", "replace"), at, size)
        for at, size, name in struct.iter_unpack("<ii8s", table)
    )


def maps(path: Path) -> tuple[str, ...]:
    """Names of the maps in the file: what comes right before a lump THINGS."""
    table = lumps(path)
    return tuple(a[0] for a, b in pairwise(table) if b[0] == "THINGS")


def starts(path: Path, name: str) -> np.ndarray:
    """`n 2` int64 (x, y) where a player of map `name` may begin, alone or with others."""
    table = lumps(path)
    _, offset, size = table[[lump[0] for lump in table].index(name) + 1]
    with path.open("rb") as file:
        file.seek(offset)
        things = np.frombuffer(file.read(size), "<i2").reshape(-1, 5)
    return things[np.isin(things[:, 3], STARTS), :2].astype(np.int64)
