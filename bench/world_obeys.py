"""Does a released world do as it is told? Of 200 held-out seconds how many look like their order, the game's and the
world's; one block under the true actions beside the last frame repeated and turned; what the autoencoder gives back.
On episodes that are recorded here and that it did not learn from; half of them calibrate the judge.

python -m bench.world_obeys [--world doom] [--steps N] [--maps MAP32] [--rollouts 200] [--blocks 120]
    [--episodes 96] [--device cpu]
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from bench import worlds
from bench.common import save
from tween.nn.vae import WanVAE
from tween.recipes.vae import fidelity, sample
from tween.recipes.world_judge import going_on, held, measured


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/world_obeys.json, or world_obeys_N.json of N steps."""
    options = parse(argv)
    episodes = worlds.recorded(options)
    on = held(episodes, rollouts=options.rollouts, blocks=options.blocks)
    net, codec, sampling = worlds.opened(options)
    clips = sample(episodes, length=129, count=options.clips, device=options.device)
    with torch.inference_mode():
        rows = [{"what": "the autoencoder", **given_back(codec, clips)}]
        print(rows[-1], flush=True)
        rows += [{"what": "the game", "rollouts": sum(map(len, on.orders.values())), "obeyed": on.real}]
        print(rows[-1], flush=True)
        world = measured(going_on(net, codec, sampling), on)
        rows += [{"what": "the world", "blocks": len(on.blocks), **world}]
        print(rows[-1], flush=True)
    name = f"world_obeys_{options.steps}" if options.steps else "world_obeys"
    save(name, rows, precision=options.precision, sampling=vars(sampling))


def given_back(codec: WanVAE, clips: Tensor) -> dict[str, float]:
    """Means of `fidelity` over clips `b t 3 h w`, and the standard error of the PSNR's."""
    found = [fidelity(torch.nn.ModuleDict({"vae": codec}), 0, clips=clip) for clip in clips.split(1)]
    values = {name: torch.tensor([x[name] for x in found]) for name in found[0]}
    error = values["psnr"].std().item() / len(found) ** 0.5
    return {"clips": len(found), **{k: v.mean().item() for k, v in values.items()}, "error": error}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = worlds.options(__doc__, episodes=96)
    parser.add_argument("--rollouts", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=120, help="of 12 frames, after 9 real ones")
    parser.add_argument("--clips", type=int, default=128, help="of 129 frames, for the autoencoder")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
