"""Draws side_by_side.png: three hard triplets, each as source, blend, dis, fast and truth, enlarged where most moves.

python docs/figures/side_by_side.py FOLDER_OF_TRIPLETS [--scenes a b c] [--model fast]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tween.data import DATASETS, Triplet
from tween.evaluate import choose
from tween.evaluate.middle import fill_middle, measure
from tween.zoo import load

SCENES = ("dog-control", "kart-turn", "pole-vault")
CROP, GAP, TEXT = (132, 192), 6, 20  # pixels of the source; then of the picture


def main() -> None:
    """Draw it beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", nargs=3, default=SCENES)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()
    triplets = {t.name: t for t in DATASETS["triplets"].read(arguments.folder)}
    rows = [row(triplets[name], arguments.model) for name in arguments.scenes]
    sheet(rows).quantize(256, dither=Image.Dither.NONE).save(arguments.out, optimize=True)


@torch.inference_mode()
def row(triplet: Triplet, model: str) -> dict[str, Tensor]:
    """caption -> crop `3 h w`."""
    before, truth, after = (x[None] for x in triplet.load())
    at = busiest(before, after)
    cells = {f"{triplet.name}: source": before}
    way = choose("triplets")
    for name in ("blend", "dis", model):
        made = fill_middle(load(name, device="cpu"), before, after, way)
        cells[f"{name} {measure(name, made, truth, way).psnr:.1f} dB"] = made
    cells["truth"] = truth
    return {caption: x[(0, ..., *at)] for caption, x in cells.items()}


def busiest(before: Tensor, after: Tensor) -> tuple[slice, slice]:
    """The crop in which the two frames differ most."""
    h, w = CROP
    change = F.avg_pool2d((before - after).abs().mean(1, keepdim=True), (h, w), stride=8)
    y, x = divmod(int(change.argmax()), change.shape[-1])
    return slice(8 * y, 8 * y + h), slice(8 * x, 8 * x + w)


def sheet(rows: list[dict[str, Tensor]]) -> Image.Image:
    """All pictures, of one size, with their captions above."""
    h, w = next(iter(rows[0].values())).shape[-2:]
    canvas = Image.new("RGB", (len(rows[0]) * (w + GAP) - GAP, len(rows) * (h + TEXT + GAP) - GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for j, cells in enumerate(rows):
        for i, (caption, crop) in enumerate(cells.items()):
            x, y = i * (w + GAP), j * (h + TEXT + GAP)
            draw.text((x + 2, y + 2), caption, fill="black", font=font)
            data = (crop * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
            canvas.paste(Image.fromarray(data), (x, y + TEXT))
    return canvas


if __name__ == "__main__":
    main()
