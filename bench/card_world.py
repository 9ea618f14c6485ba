"""Releases what `tween train doom --out OUT` left: the world in one file among the zoo's weights, and the cards of it
and of its autoencoder. Says what to write into the registry; once that is there, --cards writes the cards.

    python -m bench.card_world OUT [--student] [--cards] --shift 2 --steps 10 --maps MAP32 --openings 0 27 6 15 35 14 \
        --gpu "one NVIDIA H200" --minutes 17 --commit abc1234 --command "tween train doom --maps MAP32 ..."
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tween.data.episodes import Episodes
from tween.data.record_doom import RATE, Doom, record_in_bulk
from tween.models.stream.config import DOOM
from tween.models.stream.sampling import Sampling, even
from tween.models.stream.timeline import frames_of
from tween.recipes import world_parts as parts
from tween.recipes.world import HELD_SEED, PARTS, openings
from tween.recipes.world_judge import undrifted
from tween.zoo import ZOO
from tween.zoo.cards import Training
from tween.zoo.load import WEIGHTS
from tween.zoo.shards import digest, split
from tween.zoo.world_cards import write_world_card
from tween.zoo.worlds import save_world

FRAMES = frames_of(1 + DOOM.rule.block) - frames_of(1)  # of a block
SIGHT = frames_of(1 + DOOM.rule.window) - frames_of(1)
LIMITS = {
    "doom": [
        "Its pictures are soft: bricks and small things melt, for its autoencoder keeps a tenth of the sharpness of "
        "the game, and the network half of that; what comes into view is a guess.",
        "One map, MAP32 of Freedoom Phase 2; doors stay shut, and monsters and weapons were never recorded.",
        f"It sees {DOOM.rule.window} latents, the one it makes among them, {float(SIGHT / RATE):.1f} s: what was out "
        "of sight for longer has changed when one looks again, and after some seconds rooms are no longer those of the "
        "map.",
        "Over a minute its pictures stay as near to the game's as they are after 5 s (64 walks), which is ten times as "
        "far as frames of the game are from each other.",
        "It was trained before the items that tint the whole picture for half a minute were taken off the map, and is "
        "judged on episodes without them.",
        "On a CPU it is slower than its own 17.5 frames a second: `tween generate --world doom --actions FILE -o "
        "a.mp4` made 9.1 to 10.3 a second on two cores, and 6.1 where they were busy with other work.",
        f"An action is heard at the beginning of the next block of {FRAMES} frames, {float(FRAMES / RATE):.2f} s.",
    ],
    "vae-small": [
        "Trained for less than a minute on one map of one game, at 128x96; other pictures come back worse.",
    ],
}


def main() -> None:
    """Read the options above, pack, and write the cards of what is registered."""
    options = parsed()
    if not options.cards:
        released(options, WEIGHTS / "doom.safetensors")
    metrics = json.loads((options.out / "metrics.json").read_text())
    metrics["real"] |= real(options) if "frechet" not in metrics["real"] else {}
    each = ", ".join(
        f"{what} {metrics[what]['minutes']:.1f}" for what in ("autoencoder", "network", "student")
    )
    training = Training(
        recipe=f"`{options.command}`: the autoencoder first, then the network on its latents. "
        f"Minutes of each: {each}; the others went to recording, encoding and judging.",
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
    parser.add_argument("--cards", action="store_true", help="alone: the weights are there")
    parser.add_argument("--shift", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--remember", type=float, default=0.1, help="as it was judged with")
    parser.add_argument("--seed", type=int, default=0, help="of the recording")
    parser.add_argument("--maps", nargs="+", default=(), help="as trained on")
    parser.add_argument(
        "--openings",
        type=int,
        nargs="+",
        default=range(8),
        help="which of the openings, each of another episode",
    )
    parser.add_argument("--command", default="tween train doom", help="that trained it")
    parser.add_argument("--gpu", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--commit", required=True)
    return parser.parse_args(argv)


def played(options: argparse.Namespace) -> Sampling:
    """How the released world makes its blocks."""
    how = {"shift": options.shift, "remember": options.remember}
    return Sampling(**how) if options.student else even(options.steps, **how)


def released(options: argparse.Namespace, path: Path) -> None:
    """Write the weights, and say what the registry wants of them: the order in their heads differs from run to run."""
    params = pack(options, path)
    for part in split(path):
        part.chmod(0o644)
        print(f"{part}: {part.stat().st_size / 1e6:.2f} MB")
    print(f"sha256 {digest(path)}, params {params}")


def real(options: argparse.Namespace) -> dict[str, Any]:
    """What the game itself would be judged, where an earlier training did not say."""
    codec = parts.codec(options.out / f"{PARTS[0]}.safetensors", "cpu").half().float()
    return vars(undrifted(held(options), codec, count=64))


def held(options: argparse.Namespace) -> Episodes:
    """Of the held-out episodes, the first 48."""
    where = Doom(seed=options.seed + HELD_SEED, maps=tuple(options.maps))
    return record_in_bulk(where, episodes=48, processes=2)


def pack(options: argparse.Namespace, path: Path) -> dict[str, int]:
    """Write the world; its pictures are recorded anew. How many weights each entry has."""
    codec = parts.codec(options.out / f"{PARTS[0]}.safetensors", "cpu").half()
    net = parts.network(options.out / f"{PARTS[2 if options.student else 1]}.safetensors", "cpu").half()
    some = openings(held(options), 48)
    chosen = [some[i] for i in options.openings]
    save_world(path, net, codec, played(options), name="doom", rate=RATE, pictures=chosen)
    count = {"doom": net, "vae-small": codec}
    weights = {name: sum(p.numel() for p in module.parameters()) for name, module in count.items()}
    return weights | {"doom": sum(weights.values())}


if __name__ == "__main__":
    main()
