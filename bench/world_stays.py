"""Does a released world stay itself for a minute? Sharpness and Frechet distance of its walks after 5 and 60 s, beside
those of the game itself, on episodes that are recorded here and that it did not learn from; and how bright each is.

python -m bench.world_stays [--world doom] [--maps MAP32] [--walks 4] [--episodes 8] [--device cpu] [--precision fp32]
"""

from __future__ import annotations

import argparse

import torch

from bench.common import save
from tween.data.record_doom import RATE, Doom, record_in_bulk
from tween.recipes.world import HELD_SEED
from tween.recipes.world_judge import going_on, held, lasting, undrifted
from tween.zoo.load import DTYPES
from tween.zoo.worlds import open_world


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/world_stays.json."""
    options = parse(argv)
    episodes = record_in_bulk(
        Doom(seed=HELD_SEED, maps=tuple(options.maps)), episodes=options.episodes, processes=options.processes
    )
    filler, dtype = open_world(options.world, options.device).filler, DTYPES[options.precision]
    net, codec = filler.net.to(dtype), filler.codec.to(dtype)
    with torch.inference_mode():
        world = going_on(net, codec, filler.sampling)
        some = held(episodes, rollouts=4, blocks=4)
        made, walk = lasting(
            world, some, codec, early=round(5 * RATE), late=round(60 * RATE), count=options.walks
        )
        game = undrifted(some.episodes, codec, count=options.walks)
    bright = {"made": float(walk.mean()), "game": float(some.episodes.frames[:, ::50].mean() / 255)}
    rows = [
        {"what": "walks, after 5 and 60 s", **vars(made), "stays": made.stays()},
        {"what": "the game, and through the autoencoder", **vars(game)},
        {"what": "brightness of the first walk, of the game", **bright},
    ]
    for row in rows:
        print(row, flush=True)
    save("world_stays", rows, precision=options.precision, walks=options.walks)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", default="doom")
    parser.add_argument("--maps", nargs="+", default=["MAP32"])
    parser.add_argument("--walks", type=int, default=4)
    parser.add_argument("--episodes", type=int, default=8, help="of a minute; half of them are walked from")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=list(DTYPES), default="fp32")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
