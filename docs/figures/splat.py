"""Draws splat_occlusion.png: made scenes with exact truth, in which things pass one another on curves, filled by `fast`
and by `splat` from two and from four frames. Of so many scenes three are shown, where their frames differ most: the one
that gained most by four frames, the middle one, and the one that gained least. And, of a video, splat_scene.png: an
instant, its depth, and how it looks from both sides.

python docs/figures/splat.py PHOTOS [--scenes 6] [--seed 1]
python docs/figures/splat.py VIDEO --at SECONDS
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path
from statistics import median_low

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from side_by_side import sheet
from torch import Tensor

from tween.cli.splat import pictures, window
from tween.data.store import FrameStore
from tween.evaluate.windows import Scene, curved_scenes, filled
from tween.metrics import psnr
from tween.models.splat.view import around, shaded, still
from tween.video.bulk import pack
from tween.zoo import load

SIZE, CROP = (192, 288), (132, 192)  # (h, w) of scenes, and of what is shown of them
DEGREES = 3.0


def main() -> None:
    """Draw one of the two beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, metavar="PHOTOS|VIDEO")
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at", type=Fraction)
    options = parser.parse_args()
    if options.source.is_dir():
        name, rows = "splat_occlusion.png", occlusion(options.source, options.scenes, options.seed)
    else:
        name, rows = "splat_scene.png", [scene(options.source, options.at)]
    sheet(rows).quantize(256, dither=Image.Dither.NONE).save(Path(__file__).with_name(name), optimize=True)


def occlusion(photos: Path, count: int, seed: int) -> list[dict[str, Tensor]]:
    """Three rows of caption -> crop `3 h w`: most gained, the middle one, least gained."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = pack(sorted(photos.glob("*.jpg")), Path(folder), 540, 1)
        store = FrameStore.build([np.load(path) for path in arrays], torch.device("cpu"))
    own = load("splat", device="cpu")
    fillers = {
        "fast": load("fast", device="cpu", precision="fp32"),
        "splat, 2": own.seeing(2),
        "splat, 4": own,
    }
    found = {}
    for each in curved_scenes(store, count, SIZE, seed=seed):
        made = {name: filled(filler, each, "cpu") for name, filler in fillers.items()}
        found[each.name] = each, made, {k: psnr(x, each.truth[None]).item() for k, x in made.items()}
        print(each.name, {k: round(v, 2) for k, v in found[each.name][2].items()}, flush=True)
    gain = {name: score["splat, 4"] - score["splat, 2"] for name, (_, _, score) in found.items()}
    middle = next(name for name, value in gain.items() if value == median_low(gain.values()))
    chosen = max(gain, key=gain.get), middle, min(gain, key=gain.get)
    return [row(*found[name]) for name in chosen]


def row(each: Scene, made: dict[str, Tensor], score: dict[str, float]) -> dict[str, Tensor]:
    """The inner two frames, the truth and what was made of it."""
    cells = {"before": each.frames[1], "after": each.frames[2], "truth": each.truth}
    cells |= {f"{name}: {score[name]:.1f} dB": x[0] for name, x in made.items()}
    at = busiest(each.frames[1], each.frames[2])
    return {f"{each.name}: {k}" if k == "before" else k: x[(..., *at)] for k, x in cells.items()}


def busiest(before: Tensor, after: Tensor) -> tuple[slice, slice]:
    """The crop in which the two frames differ most."""
    h, w = CROP
    change = F.avg_pool2d((before - after).abs().mean(0)[None, None], (h, w), stride=4)
    y, x = divmod(int(change.argmax()), change.shape[-1])
    return slice(4 * y, 4 * y + h), slice(4 * x, 4 * x + w)


@torch.inference_mode()
def scene(video: Path, at: Fraction | None) -> dict[str, Tensor]:
    """caption -> picture `3 h w`, 256 pixels wide."""
    filler = load("splat", device="cpu")
    _, frames, instant = window(video, at, filler.past, filler.future)
    known = pictures(frames, "cpu")
    h, w = known.shape[-2:]
    known = F.interpolate(known, (h * 384 // w, 384), mode="bilinear", antialias=True)
    held = still(filler.net, known, [f.time for f in frames], instant)
    made = held.seen()
    depth = held.cropped(made.depth)
    low, middle, high = depth.flatten().quantile(depth.new_tensor((0.05, 0.5, 0.95))).tolist()
    cells = {
        "from where it was filmed": held.cropped(made.prediction),
        "depth": shaded(depth, middle, (high - low) / 2),
    }
    for degrees in (-DEGREES, DEGREES):
        pose = around(np.radians(degrees), 0.0, float(np.exp(middle)), held.t, nearer=0.034)
        cells[f"turned by {degrees:+g} degrees"] = held.cropped(held.seen(pose).prediction)
    return {k: x.clamp(0, 1) for k, x in cells.items()}


if __name__ == "__main__":
    main()
