"""What a page and the server say to each other.

To the server, text: `{"do": "input", "keys": "WL", "way": [dx, dy], "at": ms}`, `seen`, `pause`, `reset`, `picture`,
`record`; bytes are a picture to begin with. To the page, text: `{"is": "hello" | "state" | "line" | "full" | "error"}`;
bytes are a frame: length of a header (4 bytes, little-endian), the header in JSON, a JPEG.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

from tween.core import TweenError

VERSION = 1
LARGEST = 4 * 2**20  # bytes of any message to the server


@dataclass(frozen=True)
class Input:
    """Letters held, pixels the mouse went (right, down) since the last one, and the page's clock in milliseconds."""

    keys: str
    way: tuple[float, float]
    at: float


@dataclass(frozen=True)
class Seen:
    """The page has frame `number`."""

    number: int


@dataclass(frozen=True)
class Pause:
    """Stand still, or go on."""

    on: bool


@dataclass(frozen=True)
class Reset:
    """Begin again: by another seed, or by the same where it is None."""

    seed: int | None


@dataclass(frozen=True)
class Picture:
    """Begin with picture `index` of the world's own."""

    index: int


@dataclass(frozen=True)
class Record:
    """Record from here on, or stop that."""

    on: bool


Message = Input | Seen | Pause | Reset | Picture | Record


def heard(text: str) -> Message:
    """The message in `text`.

    Raises:
        TweenError: if it is none.
    """
    try:
        said = json.loads(text)
        match said["do"]:
            case "input":
                right, down = map(float, said["way"])
                message: Message = Input(str(said["keys"])[:32], (right, down), float(said["at"]))
                if not all(map(math.isfinite, (right, down, message.at))):
                    raise ValueError("numbers should be finite")
            case "seen":
                message = Seen(int(said["number"]))
            case "pause":
                message = Pause(bool(said["on"]))
            case "reset":
                seed = said.get("seed")
                message = Reset(None if seed is None else int(seed) % 2**31)
            case "picture":
                message = Picture(int(said["index"]))
            case "record":
                message = Record(bool(said["on"]))
            case other:
                raise ValueError(f"nothing is called {other!r}")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise TweenError(
            f"expected a message of the page, but got {text[:60]!r} ({error}); reload it"
        ) from None
    return message


def frame(header: dict[str, Any], picture: bytes) -> bytes:
    """A frame as the page takes it."""
    head = json.dumps(header).encode()
    return struct.pack("<I", len(head)) + head + picture


def unpacked(message: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and picture of a frame."""
    (length,) = struct.unpack_from("<I", message)
    return json.loads(message[4 : 4 + length]), message[4 + length :]
