"""Releases what `tween train impute --dataset gaps` and `tween eval impute --json` left: the weights in half precision,
the measured table, and the card. Says what to write into the registry; run it again once that is there.

    python -m bench.card_impute impute.safetensors --eval eval.json --data CLIPS --gpu "NVIDIA H200" --minutes 6.7 \
        --commit abc1234 --torch 2.11.0 --date 2026-11-21
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from bench.common import RESULTS
from tween.core import TweenError
from tween.engine import checkpoint
from tween.evaluate.impute_video import markdown
from tween.models.impute.config import RELEASED
from tween.recipes.impute import read_refiner
from tween.zoo import ZOO
from tween.zoo.cards import Training, write_card
from tween.zoo.load import WEIGHTS
from tween.zoo.shards import digest

NAME = "impute"
LIMITS = [
    "It changes what `fast` fills and begins with its mistakes: what neither keyframe nor `fast` shows, it does not "
    "invent.",
    "Nearer to the truth on average is not sharper: the judge's perceptual and Frechet distances grow at long gaps. By "
    "its Frechet distance the faded keyframes (`blend`) are the most real of all, ghosts and all.",
    "`fast` has learned from the shots that were held out here, as from all clips below, so both are flattered beside "
    "`blend` and `dis`.",
    "The table is over `fast` as it was until 2026-12-01; what is said of unseen videos is over today's.",
    "Five shots are few, and the intervals reach to nothing gained at gaps of 8.",
    "Of 8 videos that neither network has seen 5, 4 and 5 gain at gaps of 4, 8 and 16, from -0.63 to +3.6 dB, by 0.10, "
    "0.13 and 0.15 in the median (`bench.impute_unseen`).",
    "A proposed keyframe is taken for a coarse fill, which was not trained for: neighbours are mixed into it faintly.",
    "At gaps of 24 frames, longer than it learned, 4 of 7 such scenes gain, from -0.10 to +1.09 dB, by 0.02 in the "
    "median (`--gaps 24`); longer ones have not been measured.",
    "Frames of a gap are refined together: asked for alone, a frame comes out a little otherwise.",
    "Where keyframes agree it changes nothing, so it is worth nothing in still scenes.",
    "It sees tiles of 128 pixels; what moves farther than that between two keyframes is out of its sight.",
    "One answer only: other seeds give the same clip.",
    "It takes no text.",
]
COMMAND = (
    "tween eval impute --checkpoint CHECKPOINT --data CLIPS --packed PACKED --judge JUDGE --hold-out 8 --gaps 16 8 4 "
    "--json OUT.json"
)


def main(argv: list[str] | None = None) -> None:
    """Read the options above; weights, table and card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--eval", type=Path, required=True, help="of `tween eval impute --json`")
    parser.add_argument("--data", type=Path, required=True, help="what it was trained on; holds manifest.csv")
    parser.add_argument("--gpu", required=True, help="its name; one of them")
    parser.add_argument("--minutes", type=float, required=True, help="encoder and refiner")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--weights", type=Path, default=WEIGHTS / f"{NAME}.safetensors")
    parser.add_argument("--results", type=Path, default=RESULTS / "impute_video.json")
    parser.add_argument("--torch", required=True, help="the version that trained and measured")
    parser.add_argument("--date", required=True)
    options = parser.parse_args(argv)
    params = pack(options.checkpoint, options.weights)
    found = json.loads(options.eval.read_text())
    options.results.write_text(json.dumps(about(options) | found, indent=1) + "\n")
    print(entry(found["gaps"], options.weights, params))
    if NAME in ZOO:
        card = WEIGHTS.parent / "cards" / f"{NAME}.md"
        write_card(
            card,
            NAME,
            ZOO[NAME],
            training=training(options),
            manifests={"train": options.data / "manifest.csv"},
            results=[],
            limits=LIMITS,
            further=measured(found),
        )
        print(card)


def pack(source: Path, target: Path) -> int:
    """The averaged weights of a refiner in half precision; how many there are.

    Raises:
        TweenError: if it is not of the released shape, which the registry's builder makes.
    """
    net = read_refiner(source, "cpu")
    same = replace(RELEASED, trunk=replace(RELEASED.trunk, classes=net.config.trunk.classes))
    if net.config != same:
        raise TweenError(f"{source} should be a refiner of the released shape, {same}, but is {net.config}")
    weights = net.state_dict()
    save_file({name: value.half().contiguous() for name, value in weights.items()}, target)
    return sum(value.numel() for value in weights.values())


def about(options: argparse.Namespace) -> dict[str, Any]:
    """Where the numbers come from, as in other results."""
    return {
        "suite": options.results.stem,
        "date": options.date,
        "command": COMMAND,
        "commit": options.commit,
        "machine": {"gpu": options.gpu, "instructions": []},
        "versions": {"torch": options.torch},
    }


def entry(gaps: dict[str, Any], path: Path, params: int) -> str:
    """The registry's line."""
    gained = ", ".join(f"{row[NAME]['gain']['mean']:+.2f} dB at gaps of {gap}" for gap, row in gaps.items())
    return f'''    "{NAME}": Entry(
        build=_impute,
        summary="fills by fast, then refines in one step; over fast {gained} frames of held-out shots",
        file="{path.name}",
        sha256="{digest(path)}",
        card="{NAME}.md",
        params={params:_},
        auto=torch.float32,
    ),'''


def training(options: argparse.Namespace) -> Training:
    """How long and by what."""
    head = checkpoint.header(options.checkpoint)
    return Training(
        recipe="`tween train impute --dataset gaps`: stretches of 128x128 at gaps of 4, 8 and 16 frames over what "
        "`fast` fills, drifting in the features of an encoder by masked frames and the error of what was missing; the "
        f"best of its validations, at step {head['step']:,} of {head['config']['steps']:,}, which saw other cuts of "
        "the held-out shots. The minutes are of all: decoding, the judge, the encoder, the coarse fills, the refiner, "
        "the table above.",
        gpu=f"one {options.gpu}",
        gpu_minutes=options.minutes,
        samples=head["step"] * head["config"]["batch_size"],
        commit=options.commit,
    )


def measured(found: dict[str, Any]) -> str:
    """The table and what it is of."""
    shots = found["about"]["shots"]
    return (
        f"Missing frames in the middle of {len(shots)} shots that it did not learn from, with 95 % confidence over "
        "shots (`tween eval impute`). Perceptual and Frechet distances are of features of a ResNet that classifies "
        "CIFAR-10 and was not trained with; flicker is the error of what changes from frame to frame, in grey "
        "levels:\n\n"
        f"{markdown(found['gaps'])}\n\n"
        + "\n".join(where(gap, row, shots) for gap, row in found["gaps"].items())
    )


def where(gap: Any, row: dict[str, Any], shots: list[str]) -> str:
    """Where the step helps and where it does not."""
    gains = sorted(zip(row[NAME]["each"], shots, strict=True))
    (least, worst), (most, best) = gains[0], gains[-1]
    helped = sum(gain > 0 for gain, _ in gains)
    return (
        f"- Gaps of {gap}: more than `fast` in {helped} of {len(gains)} shots, from {least:+.2f} dB ({worst}) to "
        f"{most:+.2f} ({best}). {distances(row)}"
    )


def distances(row: dict[str, Any]) -> str:
    """Which of them became smaller than `fast`'s, and which larger."""
    words = {"perceptual": "perceptual distance", "frechet": "Frechet distance", "flicker": "flicker"}
    at = {
        name: [of[name] if name == "frechet" else of[name]["mean"] for of in (row[NAME], row["fast"])]
        for name in words
    }
    sides = {
        side: [
            f"{words[name]} ({a:.3g} for {b:.3g})"
            for name, (a, b) in at.items()
            if a != b and (a < b) == less
        ]
        for side, less in (("Less", True), ("More", False))
    }
    return " ".join(f"{side} {' and '.join(found)}." for side, found in sides.items() if found)


if __name__ == "__main__":
    main()
