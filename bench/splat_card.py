"""Writes the card of `splat` from the training data's manifests, what `tween eval --json` measured, and bench/results.

    python -m bench.splat_card --data DIR --results splat.json fast.json dis.json blend.json

DIR holds train/manifest.csv and photos/manifest.csv.
"""

from __future__ import annotations

from bench.card import write
from bench.report import table
from tween.zoo.cards import Training

TRAINING = Training(
    recipe=(
        "`tween train splat --data DIR --photos PHOTOS --hold-out 12 --start fast --batch-size 32 --crop 256 256 "
        "--lr 4e-4 --steps 819 --epochs 4 --fixed-weights --flow-share 0.9 --ema 0.999`, bf16, windows of 2, 3 and 4 "
        "frames in turns, two fifths of every batch made scenes with exact motion. A script drove the run and fitted "
        "the schedule to the clock after each epoch; it was laid out for 563 steps at first. Pyramid, matching keys "
        "and LGS blocks began as those of `fast`; the clips are those below without Big Buck Bunny, which only "
        "`fast` saw. Steps and validations took 4.3 of the minutes, measuring how long a step takes most of the "
        "others"
    ),
    gpu="one NVIDIA H200",
    gpu_minutes=6.6,
    samples=819 * 32,
    commit="f931612",
)
LIMITS = [
    "Trained for four minutes and not to its end: at the last validation, after 257 more steps, PSNR had risen by "
    "0.3 to 0.4 dB with four frames and by 0.1 dB on davis30.",
    "With two frames it is below `fast`: on davis30, on clips and on made scenes; on davis30 below DIS as well. What "
    "it is for is three and four frames.",
    "That four frames are better than two is sure for made scenes of curved and accelerating motion; they are other "
    "draws of what two fifths of the training were made of. On real clips the mean gain comes from two of six held- "
    "out shots, a slow turn of a camera and a man who signs (2.8 and 1.8 dB); the other four lie between -0.4 and "
    "+0.3 dB, and the interval over shots holds 0.",
    "Five windows of Big Buck Bunny, which this run never saw, were measured afterwards on a CPU: four frames gain "
    "0.4 dB over two (-0.3 to +1.7), 33.35 dB where `fast`, which was trained on that film, has 33.54.",
    "The shots were held out of this run, not of `fast`, whose features it began with and which is measured beside "
    "it; two of the six are of a film of which other shots were trained on.",
    "Motion is estimated at about 129,600 pixels, whatever the frame's size. That was chosen among four sizes on 12 "
    "of the 24 windows of clips, so their figures are slightly flattered; small things that move far are lost.",
    "What failed most: fast motion of repeated lines (25.05 dB where `fast` has 28.27), small objects that move by "
    "more than their size, which are smeared, and dark shapes on striped ground, which get a halo. Where nothing "
    "moves but noise, a blend averages it and is 2 dB better.",
    "What both frames hide, or was matched wrongly, is faded.",
    "Depth is relative. It tells who is nearer where something passes before something else; where nothing does, as "
    "in a view from a drone, it is noise. A camera that moves by more than a few degrees sees silhouettes fray.",
    "Half precision is slower (the times are in src/tween/models/splat/README.md), so `auto` is fp32.",
    "On one core of a CPU a 448x256 frame takes 3 s, each further one in the same gap 1 s.",
    "UCF101, Middlebury, SNU-FILM, Vimeo90K and X-TEST have not been measured.",
]


def main() -> None:
    """Write the card of `splat`."""
    write("splat", TRAINING, LIMITS, windows())


def windows() -> str:
    """The table of bench/results/splat_windows.json, and what it is of."""
    return (
        "Those triplets give two frames. What more are worth: n2, n3, n4 are this network with 2, 3 and 4 of the "
        "same four frames, lerp mixes clouds Gaussian by Gaussian; clips are shots that the run held out, four "
        "windows of each; curves are made scenes of curved and accelerating motion with exact truth. ± is half of a "
        "95 % interval, of clips over shots."
        f"\n\n{table('splat_windows')}"
    )


if __name__ == "__main__":
    main()
