"""A contact sheet of the pictures that came out worst: what was given, what was made, the truth, the difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from tween.core import Filler, TweenError
from tween.evaluate.middle import Row, Scene, fill_middle, full_precision, moment
from tween.evaluate.protocols import Protocol

WIDTH, LINE = 320, 16  # pixels of a picture, and of the text above a row
COLUMNS = ("both frames, averaged", "made", "truth", "|made - truth| x 4")


def worst(rows: Sequence[Row], count: int) -> list[Row]:
    """The `count` rows of least PSNR, the worst first."""
    return sorted(rows, key=lambda row: row.psnr)[:count]


def contact_sheet(
    path: Path,
    filler: Filler[Any],
    scenes: Sequence[Scene],
    rows: Sequence[Row],
    way: Protocol,
    *,
    count: int = 8,
    device: torch.device | str = "cpu",
) -> None:
    """Fill the `count` worst scenes once more and draw them into `path`, a row each.

    Raises:
        TweenError: if the file cannot be written.
    """
    by_name = {scene.name: scene for scene in scenes}
    strips = [strip(filler, by_name[row.name], row, way, device) for row in worst(rows, count)]
    sheet = Image.new("RGB", (WIDTH * len(COLUMNS), sum(s.height for s in strips)))
    top = 0
    for s in strips:
        sheet.paste(s, (0, top))
        top += s.height
    try:
        sheet.save(path)
    except (OSError, ValueError) as error:
        raise TweenError(
            f"the contact sheet could not be written to {path} ({error}); choose a .png or .jpg"
        ) from None


def strip(
    filler: Filler[Any], scene: Scene, row: Row, way: Protocol, device: torch.device | str
) -> Image.Image:
    """One scene: its name and scores above its four pictures."""
    before, truth, after = (x[None].to(device) for x in scene.load())
    with torch.inference_mode(), full_precision():
        made = fill_middle(filler, before, after, way, moment(scene))
    views = ((before + after) / 2, made, truth, 4 * (made - truth).abs())
    tiles = [_tile(view) for view in views]
    image = Image.new("RGB", (WIDTH * len(tiles), LINE + tiles[0].height))
    for i, (tile, title) in enumerate(zip(tiles, COLUMNS, strict=True)):
        image.paste(tile, (i * WIDTH, LINE))
        text = f"{row.name}  {row.psnr:.2f} dB, SSIM {row.ssim:.3f}: {title}" if i == 0 else title
        ImageDraw.Draw(image).text((i * WIDTH + 2, 2), text[-52:] if i == 0 else text, fill="white")
    return image


def _tile(view: Tensor) -> Image.Image:
    h, w = view.shape[-2:]
    small = F.interpolate(view.cpu(), (max(round(h * WIDTH / w), 1), WIDTH), mode="bilinear", antialias=True)
    data = (small[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(data.contiguous().numpy())
