"""Draws storyboard.png: three frames of a video as keyframes, and the clip that models make of them, beside the truth.

python docs/figures/storyboard.py VIDEO [--start SECONDS] [--gap FRAMES] [--models blend dis fast impute]
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import tween
from tween.metrics import psnr
from tween.video.read import open_reader

CELL, SPACE, TEXT = (135, 240), 6, 20  # height and width of a picture; pixels between pictures; of a caption


def main() -> None:
    """Draw it beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--start", type=Fraction, default=Fraction(0))
    parser.add_argument("--gap", type=int, default=8)
    parser.add_argument("--models", nargs="+", default=["blend", "dis", "fast", "impute"])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()
    with open_reader(arguments.video, start=arguments.start) as reader:
        frames = [frame.rgb for frame in islice(reader, 2 * arguments.gap + 1)]
        rate = reader.info.rate
    sheet = drawn(rows(frames, rate, arguments.gap, arguments.models))
    sheet.quantize(256, dither=Image.Dither.NONE).save(arguments.out, optimize=True)


def rows(
    truth: list[Tensor], rate: Fraction, gap: int, models: list[str]
) -> list[list[tuple[str, Tensor | None]]]:
    """Rows of (caption, picture): the keyframes, what each model makes halfway between, and the source."""
    keys = [0, gap, 2 * gap]
    shown = [0, gap // 2, gap, gap + gap // 2, 2 * gap]
    times = [f"{float(i / rate):.3f} s" for i in shown]
    found = [
        [
            (f"keyframe, {time}" if i in keys else time, truth[i] if i in keys else None)
            for i, time in zip(shown, times, strict=True)
        ]
    ]
    for model in models:
        clip = [
            p for _, p in tween.fill([truth[i] for i in keys], [i / rate for i in keys], rate, model=model)
        ]
        found.append([(caption(model, clip[i], truth[i]), clip[i]) for i in shown])
    return [*found, [("source", truth[i]) for i in shown]]


def caption(model: str, made: Tensor, truth: Tensor) -> str:
    """The model, and how near its frame is where it made one."""
    if made.equal(truth):
        return f"{model}: the keyframe"
    return f"{model}: {psnr(made[None], truth[None]).item():.1f} dB"


def drawn(cells: list[list[tuple[str, Tensor | None]]]) -> Image.Image:
    """All rows with their captions; an empty cell is grey."""
    h, w = CELL
    canvas = Image.new(
        "RGB", (len(cells[0]) * (w + SPACE) - SPACE, len(cells) * (h + TEXT + SPACE) - SPACE), "white"
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for j, row in enumerate(cells):
        for i, (text, picture) in enumerate(row):
            x, y = i * (w + SPACE), j * (h + TEXT + SPACE)
            draw.text((x + 2, y + 2), text, fill="black", font=font)
            picture = torch.full((3, h, w), 0.93) if picture is None else picture
            small = F.interpolate(picture[None], size=CELL, mode="area")[0]
            pixels = (small * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
            canvas.paste(Image.fromarray(pixels), (x, y + TEXT))
    return canvas


if __name__ == "__main__":
    main()
