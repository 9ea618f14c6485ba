"""Does a released world stay itself for a minute? Sharpness and Frechet distance of its walks after 5 and 60 s, beside
those of the game itself, on episodes that are recorded here and that it did not learn from; and how bright each is.

python -m bench.world_stays [--world doom] [--maps MAP32] [--walks 4] [--episodes 8] [--device cpu] [--precision fp32]
"""

from __future__ import annotations

import argparse

import torch

from bench import worlds
from bench.common import save
from tween.data.record_doom import RATE
from tween.recipes.world_judge import going_on, held, lasting, undrifted


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/world_stays.json."""
    options = parse(argv)
    episodes = worlds.recorded(options)
    net, codec, sampling = worlds.opened(options)
    with torch.inference_mode():
        world = going_on(net, codec, sampling)
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
    parser = worlds.options(__doc__, episodes=8)
    parser.add_argument("--walks", type=int, default=4)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
