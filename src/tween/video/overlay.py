"""Keys and mouse, drawn into a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

FINER = 4  # drawn so many times larger, then shrunk: smooth edges
LIGHT, DARK, ACCENT = (255, 255, 255), (10, 12, 16), (255, 176, 32)
PLACES = {"W": (1, 0), "A": (0, 1), "S": (1, 1), "D": (2, 1)}  # column, row


def drawn(
    rgb: Tensor, letters: Sequence[str], held: Sequence[bool], mouse: tuple[float, float] | None
) -> Tensor:
    """`3 h w` in [0, 1] with caps of `letters` at the lower left, lit where held, and the mouse at the lower right.

    Args:
        mouse: (vertical, horizontal) in [-1, 1], up and right positive; None: there is none.
    """
    ink, cover = _layer(tuple(rgb.shape[-2:]), tuple(letters), tuple(map(bool, held)), mouse)
    return rgb.lerp(ink.to(rgb), cover.to(rgb))


@lru_cache(maxsize=64)
def _layer(size: tuple[int, int], letters: tuple, held: tuple, mouse: tuple | None) -> tuple[Tensor, Tensor]:
    """Colour `3 h w` and cover `1 h w` of what is drawn."""
    h, w = (FINER * side for side in size)
    image = Image.new("RGBA", (w, h))
    draw = ImageDraw.Draw(image)
    unit = min(h * 0.105, w / (len(letters) + 6))
    margin = unit * 0.45
    for (column, row), letter, down in zip(_places(letters), letters, held, strict=True):
        _cap(draw, margin + column * unit, h - margin - (2 - row) * unit, unit * 0.9, letter, down)
    if mouse is not None:
        _mouse(draw, w - margin - unit, h - margin - unit, unit * 0.95, *mouse)
    small = np.array(image.convert("RGBa").resize(size[::-1], Image.Resampling.BOX).convert("RGBA"))
    layer = torch.from_numpy(small).permute(2, 0, 1).float() / 255
    return layer[:3], layer[3:]


def _places(letters: Sequence[str]) -> list[tuple[int, int]]:
    """W, A, S and D as on a keyboard, the others in a row beside them."""
    known = [PLACES[letter] for letter in letters if letter in PLACES]
    free = iter(range(max((column for column, _ in known), default=-1) + 1, len(letters) + 3))
    return [PLACES[letter] if letter in PLACES else (next(free), 1) for letter in letters]


def _cap(draw: ImageDraw.ImageDraw, x: float, y: float, side: float, letter: str, down: bool) -> None:
    fill = (*ACCENT, 240) if down else (*DARK, 130)
    draw.rounded_rectangle(
        (x, y, x + side, y + side), side * 0.22, fill, (*LIGHT, 230 if down else 120), round(side / 14)
    )
    font = ImageFont.load_default(side * 0.62)
    draw.text((x + side / 2, y + side / 2), letter, (*(DARK if down else LIGHT), 255), font, anchor="mm")


def _mouse(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, up: float, right: float) -> None:
    line = max(1, round(radius / 12))
    draw.circle((x, y), radius, (*DARK, 130), (*LIGHT, 120), line)
    reach = math.hypot(up, right)
    if not reach:
        draw.circle((x, y), radius * 0.16, (*LIGHT, 200))
        return
    ahead = right / reach, -up / reach
    length = radius * (0.3 + 0.6 * min(reach, 1.0))
    tip = x + ahead[0] * length, y + ahead[1] * length
    back = tip[0] - ahead[0] * radius * 0.4, tip[1] - ahead[1] * radius * 0.4
    draw.line((x, y, *back), (*ACCENT, 255), 3 * line)
    side = -ahead[1] * radius * 0.28, ahead[0] * radius * 0.28
    draw.polygon(
        [tip, (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])], (*ACCENT, 255)
    )
