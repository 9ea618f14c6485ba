"""impute over fast on videos that neither has learned from: the middle of each, at gaps of 4, 8 and 16 frames.

python -m bench.impute_unseen --path VIDEOS [--gaps 24]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.common import save
from tween.core import TweenError
from tween.data.stretches import numbers
from tween.evaluate.impute_video import missing
from tween.metrics import psnr
from tween.video.read import open_reader
from tween.zoo import load

GAPS, SIZE = (4, 8, 16), (256, 384)
FIRST = 600  # frames of a video that are looked at
JUMP, STILL = 5.0, 0.002  # a change that is so many times the usual one is a cut; less than this is nothing


def main(argv: list[str] | None = None) -> None:
    """Read the options above; print a line a video, write results/impute_unseen.json, or that of other gaps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--precision", default="fp32", help="of impute; fast is in fp32")
    parser.add_argument("--gaps", type=int, nargs="+", default=GAPS, help="frames from keyframe to keyframe")
    options = parser.parse_args(argv)
    gaps, longest = tuple(options.gaps), max(options.gaps)
    fillers = {
        name: load(name, device="cpu", precision=kind)
        for name, kind in (("fast", "fp32"), ("impute", options.precision))
    }
    rows: list[dict[str, Any]] = []
    for name, frames in stretches(options.path, 3 * longest + 1):
        found = [
            {"video": name, "gap": gap, **measured(frames[numbers(gap, longest)], fillers)} for gap in gaps
        ]
        print(*(f"{r[k]:.2f}" if isinstance(r[k], float) else r[k] for r in found for k in r), flush=True)
        rows += found
    suite = "impute_unseen" if gaps == GAPS else "_".join(map(str, ("impute_unseen", *gaps)))
    print(save(suite, rows, precision=options.precision))


def stretches(folder: Path, t: int) -> Iterator[tuple[str, Tensor]]:
    """The middle `t` frames of every video without a cut in them, `t 3 h w`, the middle of the picture."""
    for path in sorted(folder.iterdir()):
        try:
            with open_reader(path) as reader:
                clip = [frame.rgb for frame in islice(reader, FIRST)]
        except TweenError:
            continue
        if len(clip) < t or clip[0].shape[0] != 3:
            continue
        start = (len(clip) - t) // 2
        frames = torch.stack(clip[start : start + t])
        change = frames.diff(dim=0).abs().mean((1, 2, 3))
        if change.max() > JUMP * change.median() + 0.02 or change.mean() < STILL:
            continue
        yield path.name, middle(frames)


def middle(frames: Tensor) -> Tensor:
    """At half size where there is room for it, as `tween eval impute` sees them."""
    h, w = (min(n, have // 8 * 8) for n, have in zip(SIZE, frames.shape[-2:], strict=True))
    fold = 2 if frames.shape[-2] >= 2 * h and frames.shape[-1] >= 2 * w else 1
    y, x = ((have - fold * n) // 2 for have, n in zip(frames.shape[-2:], (h, w), strict=True))
    cut = frames[..., y : y + fold * h, x : x + fold * w]
    return torch.nn.functional.avg_pool2d(cut, fold) if fold > 1 else cut


def measured(truth: Tensor, fillers: dict[str, Any]) -> dict[str, float]:
    """PSNR in dB of what is missing, by each; of a gap of g frames `truth` has its keyframes and the outer ones, too,
    `g+3 3 h w`."""
    gap = len(truth) - 3
    found = {name: float(psnr(missing(f, truth, gap), truth[2:-2]).mean()) for name, f in fillers.items()}
    return found | {"gain": found["impute"] - found["fast"]}


if __name__ == "__main__":
    main()
