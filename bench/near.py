"""Frames close to a known one, against real frames: the network alone, and as its filler gives them. Frame 0 and frame
24, 16 or 8 of a clip are shown, frame 1 is the truth; at t = 1/1000 the known frame itself is.

python -m bench.near --clips FILE ... [--start 1]
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from bench.common import save
from tween.metrics import psnr
from tween.video.read import open_reader
from tween.zoo import load

GAPS = (24, 16, 8)
NEAREST = Fraction(1, 1000)


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/near.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    parser.add_argument("--start", type=Fraction, default=Fraction(1), help="seconds after the first frame")
    arguments = parser.parse_args(argv)
    with torch.inference_mode():
        rows = [row for clip in arguments.clips for row in measured(clip, arguments.start)]
    for t in {row["t"]: None for row in rows}:
        same = [row for row in rows if row["t"] == t]
        means = {name: sum(row[name] for row in same) / len(same) for name in ("known", "network", "filler")}
        print(
            f"t = {t}, {len(same)} clips:", ", ".join(f"{k} {v:.2f} dB" for k, v in means.items()), flush=True
        )
    save("near", rows)


def measured(clip: Path, start: Fraction) -> list[dict[str, object]]:
    """PSNR of the known frame, of the network alone and of the filler, for each gap."""
    with open_reader(clip, start=start) as reader:
        frames = [frame.rgb[None, :3] for frame in islice(reader, max(GAPS) + 1)]
    cases = [(Fraction(1, gap), frames[gap], frames[1]) for gap in GAPS if gap < len(frames)]
    cases.append((NEAREST, frames[GAPS[-1]], frames[0]))
    return [
        {"clip": clip.name, "t": str(t), **compared(frames[0], last, truth, t)} for t, last, truth in cases
    ]


def compared(first: Tensor, last: Tensor, truth: Tensor, t: Fraction) -> dict[str, float]:
    """PSNR in dB of what is shown at `t`, cropped to what the network takes; equal frames count as 100 dB."""
    filler = load("fast", device="cpu", precision="fp32")
    h, w = (size - size % filler.multiple for size in first.shape[-2:])
    first, last, truth = (x[..., :h, :w] for x in (first, last, truth))
    state = filler.begin(tuple(first.shape), seed=0, device="cpu", dtype=first.dtype)
    made, _ = filler.fill(state, torch.stack((first, last), 1), (Fraction(0), Fraction(1)), (t,))
    alone = filler.net(first, last, torch.tensor([float(t)])).prediction.clamp(0, 1)
    shown = {"known": first, "network": alone, "filler": made[:, 0]}
    return {name: min(100.0, float(psnr(x, truth))) for name, x in shown.items()}


if __name__ == "__main__":
    main()
