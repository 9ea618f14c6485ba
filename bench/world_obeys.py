"""Does a released world do as it is told? Of 200 held-out seconds how many look like their order, the game's and the
world's; one block under the true actions beside the last frame repeated and turned; what the autoencoder gives back.
On episodes that are recorded here and that it did not learn from; half of them calibrate the judge.

python -m bench.world_obeys [--world doom] [--maps MAP32] [--rollouts 200] [--blocks 120] [--episodes 24] [--device cpu]
"""

from __future__ import annotations

import argparse

import torch

from bench.common import save
from tween.data.record_doom import Doom, record_in_bulk
from tween.recipes.vae import fidelity, sample
from tween.recipes.world import HELD_SEED
from tween.recipes.world_judge import going_on, held, measured
from tween.zoo.load import DTYPES
from tween.zoo.worlds import open_world


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/world_obeys.json."""
    options = parse(argv)
    episodes = record_in_bulk(
        Doom(seed=HELD_SEED, maps=tuple(options.maps)), episodes=options.episodes, processes=options.processes
    )
    on = held(episodes, rollouts=options.rollouts, blocks=options.blocks)
    filler, dtype = open_world(options.world, options.device).filler, DTYPES[options.precision]
    net, codec = filler.net.to(dtype), filler.codec.to(dtype)
    clips = sample(episodes, length=129, count=options.clips, device=options.device)
    with torch.inference_mode():
        back = fidelity(torch.nn.ModuleDict({"vae": codec}), 0, clips=clips)
        world = measured(going_on(net, codec, filler.sampling), on)
    rows = [
        {"what": "the game", "rollouts": sum(map(len, on.orders.values())), "obeyed": on.real},
        {"what": "the world", "blocks": len(on.blocks), **world},
        {"what": "the autoencoder", "clips": len(clips), **back},
    ]
    for row in rows:
        print(row, flush=True)
    save("world_obeys", rows, precision=options.precision, sampling=vars(filler.sampling))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", default="doom")
    parser.add_argument("--maps", nargs="+", default=["MAP32"])
    parser.add_argument("--rollouts", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=120, help="of 12 frames, after 9 real ones")
    parser.add_argument("--clips", type=int, default=32, help="of 129 frames, for the autoencoder")
    parser.add_argument("--episodes", type=int, default=24, help="of a minute; half of them calibrate")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=list(DTYPES), default="fp32")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
