"""Writes the card of `fast` from the training data's manifests and what `tween eval --json` measured.

    python -m bench.card --data DIR --results fast.json dis.json blend.json

DIR holds train/manifest.csv and photos/manifest.csv.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tween.zoo import ZOO
from tween.zoo import cards as zoo_cards
from tween.zoo.cards import Training, write_card

FAST = Training(
    recipe=(
        "`tween train fast`, bf16, AdamW, averaged weights (0.999), in three runs: 2,795 steps of 256 crops of 256x256 "
        "at a peak rate of 6e-4; 5,205 of 9,705 planned steps of 160 crops of 256x384 on a cosine that was still at "
        "1.9e-4; then 11,523 steps of 48 crops of 448x704 with motion estimated on 288x448 (`--start fast "
        "--crop 448 704 --shrink 1.5 --batch-size 48 --lr 3e-4`), warmed up to 3e-4 and decayed to the end. A third of "
        "every batch is layered synthetic motion with exact flow"
    ),
    gpu="one NVIDIA H200",
    gpu_minutes=43,
    samples=2_101_424,
    commit="c859040",
)
LIMITS = [
    "The last run, 18 minutes of steps, gained 0.05 dB on davis30 and nothing on 60 triplets of other clips: more of "
    "the same training will not make it much better.",
    "Motion is estimated at about 480x270 pixels, whatever the frame's size. That was chosen on davis30 itself "
    "(26.34 dB at 65,000 pixels, 26.54 at 129,600, 26.33 at 300,000, 5,100 steps before the end), so the figures on "
    "that set are slightly flattered; small objects that move far in a large frame are lost.",
    "DIS can be 1 to 2 dB better where motion is below a pixel or little can be matched (demolition and dolphins of "
    "davis30).",
    "Objects that are occluded in both frames, spray, splashes and strong motion blur are faded, not moved.",
    "Trained on clips of about 1 Mbit/s among others: it has seen compression artefacts as truth.",
    "UCF101, Middlebury, SNU-FILM, Vimeo90K and X-TEST have not been measured.",
]


def main() -> None:
    """Write the card of `fast`."""
    write("fast", FAST, LIMITS)


def write(name: str, training: Training, limits: Sequence[str], further: str = "") -> None:
    """Read the options above and write the card of `name`; `further` is Markdown below the measured table."""
    parser = argparse.ArgumentParser(description=f"Writes the card of {name}.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path, nargs="+", required=True)
    parser.add_argument("--name", default="davis30", help="what the measured set is called")
    options = parser.parse_args()
    entry = ZOO[name]
    write_card(
        Path(zoo_cards.__file__).parent / "cards" / entry.card,
        name,
        entry,
        training=training,
        manifests={kind: options.data / kind / "manifest.csv" for kind in ("train", "photos")},
        results=[json.loads(path.read_text()) | {"dataset": options.name} for path in options.results],
        limits=limits,
        further=further,
    )


if __name__ == "__main__":
    main()
