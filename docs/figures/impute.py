"""Draws impute.png: gaps of videos as `fast` fills them and as impute refines that, beside the truth, and below each
the square where the refinement gained most or, if it gained less than 0.05 dB over the gap, lost most.

python docs/figures/impute.py VIDEO:FRAME:GAP ...   FRAME is the keyframe before the gap; one more is on each side
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tween.evaluate.impute_video import missing
from tween.metrics import psnr
from tween.video.read import open_reader
from tween.zoo import load

SIZE, SQUARE, ZOOM, SPACE, TEXT = (256, 384), 64, 3, 6, 20
PICTURES = ("keyframe", "fast", "impute", "truth", "keyframe")
Row = list[tuple[str, Tensor]]


def main() -> None:
    """Draw it beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gaps", nargs="+", metavar="VIDEO:FRAME:GAP")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()
    fillers = {name: load(name, device="cpu", precision="fp32") for name in ("fast", "impute")}
    rows: list[Row] = []
    for wish in arguments.gaps:
        video, frame, gap = wish.rsplit(":", 2)
        rows += pair(shown(Path(video), int(frame), int(gap)), int(gap), fillers)
    drawn(rows).quantize(256, dither=Image.Dither.NONE).save(arguments.out, optimize=True)


def shown(video: Path, frame: int, gap: int) -> Tensor:
    """Outer keyframe, the gap with its two, outer keyframe, `gap+3 3 h w`: the middle of frames that are halved where
    there is room, as `tween eval impute` sees them."""
    numbers = [frame - gap, *range(frame, frame + gap + 1), frame + 2 * gap]
    with open_reader(video) as reader:
        clip = [f.rgb for f in islice(reader, numbers[-1] + 1)]
    found = torch.stack([clip[i] for i in numbers])
    h, w = SIZE
    if found.shape[-2] >= 2 * h and found.shape[-1] >= 2 * w:
        found = F.avg_pool2d(middle(found, 2 * h, 2 * w), 2)
    return (middle(found, h, w) * 255).round() / 255


def middle(frames: Tensor, h: int, w: int) -> Tensor:
    """`h w` of the middle, or what there is."""
    y, x = (max(0, have - want) // 2 for have, want in zip(frames.shape[-2:], (h, w), strict=True))
    return frames[..., y : y + h, x : x + w]


def pair(frames: Tensor, gap: int, fillers: dict) -> list[Row]:
    """The frame halfway through a gap, whole and its square of most change."""
    truth, half = frames[2:-2], gap // 2 - 1
    made = {name: missing(filler, frames, gap) for name, filler in fillers.items()}
    at = {name: psnr(clip, truth) for name, clip in made.items()}
    cells = [frames[1], *(clip[half] for clip in made.values()), truth[half], frames[-2]]
    gained = float((at["impute"] - at["fast"]).mean())
    said = [
        f"gap of {gap}: {gained:+.2f} dB",
        *(f"{n}: {float(at[n][half]):.1f} dB" for n in made),
        "truth",
        "keyframe",
    ]
    square = most(*(clip[half] for clip in made.values()), truth[half], gained=gained > 0.05)
    near = [cell[:, square[0], square[1]] for cell in cells]
    errors = [float(psnr(cell[None], near[3][None])) for cell in near]
    words = ["", *(f"{n}: {e:.1f} dB here" for n, e in zip(made, errors[1:3], strict=True)), "truth", ""]
    return [list(zip(said, cells, strict=True)), list(zip(words, near, strict=True))]


def most(fast: Tensor, impute: Tensor, truth: Tensor, *, gained: bool) -> tuple[slice, slice]:
    """Rows and columns of the square where the squared error fell most, or else rose most."""
    less = ((fast - truth).square() - (impute - truth).square()).mean(0)
    sums = F.avg_pool2d((less if gained else -less)[None, None], SQUARE, 8)[0, 0]
    y, x = (8 * int(i) for i in divmod(int(sums.argmax()), sums.shape[1]))
    return slice(y, y + SQUARE), slice(x, x + SQUARE)


def drawn(rows: list[Row]) -> Image.Image:
    """All rows with their captions, each cell as wide as the others."""
    h, w = SQUARE * ZOOM * SIZE[0] // SIZE[1], SQUARE * ZOOM
    tall = [h if row[0][1].shape[-1] > SQUARE else w for row in rows]
    size = len(PICTURES) * (w + SPACE) - SPACE, sum(t + TEXT + SPACE for t in tall) - SPACE
    canvas, font = Image.new("RGB", size, "white"), ImageFont.load_default(12)
    draw, y = ImageDraw.Draw(canvas), 0
    for row, height in zip(rows, tall, strict=True):
        for i, (text, picture) in enumerate(row):
            mode = "area" if picture.shape[-1] > w else "nearest"
            small = F.interpolate(picture[None], size=(height, w), mode=mode)[0]
            pixels = (small * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
            draw.text((i * (w + SPACE) + 2, y + 3), text, fill="black", font=font)
            canvas.paste(Image.fromarray(pixels), (i * (w + SPACE), y + TEXT))
        y += height + TEXT + SPACE
    return canvas


if __name__ == "__main__":
    main()
