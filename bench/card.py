"""Writes the card of `fast`, `quality` or `thesis` from the training data's manifests and what `tween eval --json`
measured.

    python -m bench.card quality --data DIR --results quality.json fast.json dis.json

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

GPU = "one NVIDIA H200"
FAST = Training(
    recipe=(
        "`tween train fast`, bf16, AdamW, averaged weights (0.999), in four runs: 2,795 steps of 256 crops of 256x256 "
        "at a peak rate of 6e-4; 5,205 of 9,705 planned steps of 160 crops of 256x384 on a cosine that was still at "
        "1.9e-4; 11,523 steps of 48 crops of 448x704 with motion estimated on 288x448 (`--start fast --crop 448 704 "
        "--shrink 1.5 --batch-size 48 --lr 3e-4`), warmed up to 3e-4 and decayed to the end; each with a third of "
        "every batch as layered synthetic motion with exact flow. Then 1,137 steps of 32 crops over 45 of the clips, "
        "24 minutes beside other work, three fifths of them layers, of which half are slow or at rest (`--start fast "
        "--crop 288 448 448 704 --shrink 1 1.5 --synthetic 0.6 --batch-size 32 --lr 2e-4`). What is released is the "
        "mean of the weights before and after that run (`python -m bench.average`)"
    ),
    gpu=GPU,
    gpu_minutes=67,
    samples=2_137_808,
    commit="6d13218",
)
QUALITY = Training(
    recipe=(
        "`tween train quality --synthetic 0.33 --crop 320 480 --shrink 1.25 --batch-size 32 --lr 8e-4 --minutes 13` "
        "over 45 of the clips, around `fast` as it was before its last run (it adds as much to today's), 2,863 steps "
        "beside other work, four minutes of them compiling, bf16, AdamW, averaged weights (0.999)"
    ),
    gpu=GPU,
    gpu_minutes=13,
    samples=91_616,
    commit="3c3dcea",
)
THESIS = Training(
    recipe=(
        "All phases at 1/200 of the plan's length, their shares of warm-up, freezing and curriculum kept, over 45 of "
        "the clips, half of every batch layered motion, bf16, averaged weights (0.998), beside other work: `tween "
        "train interp --phase 1 --steps 2405 --batch-size 32 --lr 5e-4 --stem-stride 4 --synthetic 0.5 "
        "--loss-ter-weight 0.06 --ema 0.998` (1.5 epochs of Vimeo90K's size), then `--phase 2 --steps 1604 --resume "
        "p1_best --distill 0.5` with the rest the same (one epoch, its first quarter with a frozen backbone), then "
        "`--phase 3 --steps 1604 --batch-size 24 --lr 2e-4 --resume p2_best --distill 0.5 --curriculum` (half an "
        "epoch; crops of 256, 384 and 512); no perceptual term"
    ),
    gpu=GPU,
    gpu_minutes=42,
    samples=166_784,
    commit="a3ff8a0",
)
ON_DAVIS = (
    "davis30 was used to keep the best weights of a run, so the figures on that set are slightly flattered."
)
LIMITS = {
    "fast": [
        "The third run, 18 minutes of steps, gained 0.05 dB on davis30 and nothing on 60 triplets of other clips: "
        "more of the same will not make it much better. The fourth, with slow layers, gained 0.30 dB on small unseen "
        "videos that hardly move, but lost 1.4 dB on one of them; the mean with the weights of before gains 0.24 dB "
        "and loses 0.11 at most on any scene. It was chosen on these videos and on davis30.",
        "Motion is estimated at about 480x270 pixels, whatever the frame's size. That was chosen on davis30 itself "
        "(26.34 dB at 65,000 pixels, 26.54 at 129,600, 26.33 at 300,000, 5,100 steps before the end), so the "
        "figures on that set are slightly flattered; small objects that move far in a large frame are lost.",
        "DIS is 1 dB better where motion is below a pixel or little can be matched (1.0 and 0.9 on demolition and "
        "dolphins of davis30), and up to 3 dB on small videos that stand nearly still.",
        "Objects that are occluded in both frames, spray, splashes and strong motion blur are faded, not moved.",
        "Trained on clips of about 1 Mbit/s among others: it has seen compression artefacts as truth.",
        "UCF101, Middlebury, SNU-FILM, Vimeo90K and X-TEST have not been measured.",
    ],
    "quality": [
        "Nearly all that it gains over `fast` is the mean over four flips, not the network that refines: trained "
        "for nine minutes of steps, that adds 0.01 dB.",
        "A mean is a little softer than one answer where the four disagree.",
        "On a 2-core CPU a 720p frame takes 2.2 s in bf16, ten times as long as one of `fast` (`bench.cpu_720p`).",
        "All limits of `fast` hold: it estimates the motion. " + ON_DAVIS,
        "The protocol says no TTA, since the flips are a part of the model.",
    ],
    "thesis": [
        "It is far from what its plan asks for, which trains 200 times as long: `fast`, and DIS, which learned "
        "nothing, are better and quicker. It is here to be trained on, and so that the plan's network can be looked "
        "at.",
        "After phase 1 it gave the blend of both frames (21.91 dB): at a stem stride of 4 and in 77,000 crops the "
        "network without flow learned no motion.",
        "LGS blocks begin at a quarter of the frame's size, not at full size as planned: so it keeps the plan's "
        "limits of time at 720p and 4K, which the planned stride misses.",
        ON_DAVIS,
    ],
}
TRAINED = {"fast": FAST, "quality": QUALITY, "thesis": THESIS}


SMALL = (
    "`folder`: the shots of 19 small videos of every kind, none of which was trained on (`tween eval MODEL folder`). "
    "They hardly move, and there DIS has the highest PSNR, though not surely. `quality` is 0.22 ± 0.09 dB above "
    "`fast` on davis30, 0.17 ± 0.29 there (`tween eval --compare`)."
)
AROUND = " Loaded with the `fast` that is released, it has 4,608,873 parameters."
FURTHER = {"fast": SMALL + "\n", "quality": SMALL + AROUND + "\n"}


def main() -> None:
    """Write the card of the model that is named first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=list(TRAINED))
    asked, rest = parser.parse_known_args()
    write(asked.model, TRAINED[asked.model], LIMITS[asked.model], FURTHER.get(asked.model, ""), rest)


def write(
    name: str,
    training: Training,
    limits: Sequence[str],
    further: str = "",
    argv: Sequence[str] | None = None,
) -> None:
    """Read the options above and write the card of `name`; `further` is Markdown below the measured table."""
    parser = argparse.ArgumentParser(description=f"Writes the card of {name}.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path, nargs="+", required=True)
    parser.add_argument("--name", default="davis30", help="what the measured triplets are called")
    options = parser.parse_args(argv)
    entry = ZOO[name]
    results = [json.loads(path.read_text()) for path in options.results]
    write_card(
        Path(zoo_cards.__file__).parent / "cards" / entry.card,
        name,
        entry,
        training=training,
        manifests={kind: options.data / kind / "manifest.csv" for kind in ("train", "photos")},
        results=[
            r | ({"dataset": options.name} if r.get("dataset", "triplets") == "triplets" else {})
            for r in results
        ],
        limits=limits,
        further=further,
    )


if __name__ == "__main__":
    main()
