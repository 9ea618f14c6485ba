"""Releases what `tween train doom --out OUT` left: the world in one file among the zoo's weights, and the cards of it
and of its autoencoder. Says what to write into the registry; run it again once that is there.

    python -m bench.card_world OUT [--student] --gpu "one NVIDIA H200" --minutes 20 --commit abc1234
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tween.data.record_doom import RATE, Doom, record_in_bulk
from tween.models.stream.config import DOOM
from tween.models.stream.sampling import Sampling, even
from tween.models.stream.timeline import frames_of
from tween.recipes import world_parts as parts
from tween.recipes.world import HELD_SEED, PARTS, openings
from tween.zoo import ZOO
from tween.zoo.cards import Training
from tween.zoo.load import WEIGHTS
from tween.zoo.shards import digest, split
from tween.zoo.world_cards import write_world_card
from tween.zoo.worlds import save_world

FRAMES = frames_of(1 + DOOM.rule.block) - frames_of(1)  # of a block
LIMITS = {
    "doom": [
        "It remembers the last blocks alone: what was out of sight for longer may have changed when one looks again.",
        "Doors, monsters, weapons and texts were never recorded; maps are those of Freedoom Phase 2.",
        f"An action is heard at the beginning of the next block of {FRAMES} frames, {float(FRAMES / RATE):.2f} s.",
    ],
    "vae-small": [
        "Trained on pictures of one game at 128x96 alone; other pictures come back worse.",
    ],
}


def main() -> None:
    """Read the options above, pack, and write the cards of what is registered."""
    options = parsed()
    path = WEIGHTS / "doom.safetensors"
    params = pack(options, path)
    for part in split(path):
        print(f"{part}: {part.stat().st_size / 1e6:.2f} MB")
    print(f"sha256 {digest(path)}, params {params}")
    metrics = json.loads((options.out / "metrics.json").read_text())
    training = Training(
        recipe="`tween train doom`: the autoencoder first, then the network on its latents.",
        gpu=options.gpu,
        gpu_minutes=options.minutes,
        samples=metrics["recorded"]["frames"],
        commit=options.commit,
    )
    words = {"many": f"{options.steps} steps, pretrained", "few": "3 steps, student"}
    first = "few" if options.student else "many"
    sampling = {key: words[key] for key in (first, *words) if key in metrics["judged"]}
    for name, limits in LIMITS.items():
        if name in ZOO:
            card = WEIGHTS.parent / "cards" / f"{name}.md"
            write_world_card(
                card, name, ZOO[name], training=training, metrics=metrics, sampling=sampling, limits=limits
            )


def parsed(argv: list[str] | None = None) -> argparse.Namespace:
    """The options above; those of sampling are by default those of `tween train doom`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--student", action="store_true", help="release the student, not what it learned from"
    )
    parser.add_argument("--shift", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--remember", type=float, default=0.1, help="as it was judged with")
    parser.add_argument("--seed", type=int, default=0, help="of the recording")
    parser.add_argument("--gpu", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--commit", required=True)
    return parser.parse_args(argv)


def played(options: argparse.Namespace) -> Sampling:
    """How the released world makes its blocks."""
    how = {"shift": options.shift, "remember": options.remember}
    return Sampling(**how) if options.student else even(options.steps, **how)


def pack(options: argparse.Namespace, path: Path) -> dict[str, int]:
    """Write the world; its pictures are recorded anew. How many weights each entry has."""
    codec = parts.codec(options.out / f"{PARTS[0]}.safetensors", "cpu").half()
    net = parts.network(options.out / f"{PARTS[2 if options.student else 1]}.safetensors", "cpu").half()
    held = record_in_bulk(Doom(seed=options.seed + HELD_SEED), episodes=48, processes=2)
    save_world(path, net, codec, played(options), name="doom", rate=RATE, pictures=openings(held))
    count = {"doom": net, "vae-small": codec}
    weights = {name: sum(p.numel() for p in module.parameters()) for name, module in count.items()}
    return weights | {"doom": sum(weights.values())}


if __name__ == "__main__":
    main()
