"""What the benchmarks of released worlds share: their options, the held-out episodes, and the world as asked for."""

from __future__ import annotations

import argparse
from typing import Any

from tween.data.episodes import Episodes
from tween.data.record_doom import Doom, record_in_bulk
from tween.recipes.world import HELD_SEED
from tween.zoo.load import DTYPES
from tween.zoo.worlds import in_steps, open_world


def options(about: str, *, episodes: int) -> argparse.ArgumentParser:
    """A parser of what all of them take; `episodes` are recorded by default."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--world", default="doom")
    parser.add_argument("--steps", type=int, help="of sampling; by default the world's own")
    parser.add_argument("--maps", nargs="+", default=["MAP32"])
    parser.add_argument(
        "--episodes", type=int, default=episodes, help="of a minute; half of them are judged on"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=list(DTYPES), default="fp32")
    return parser


def recorded(asked: argparse.Namespace) -> Episodes:
    """Episodes that no world learned from."""
    config = Doom(seed=HELD_SEED, maps=tuple(asked.maps))
    return record_in_bulk(config, episodes=asked.episodes, processes=asked.processes)


def opened(asked: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Network, autoencoder and sampling of the world, in the precision asked for."""
    filler = in_steps(open_world(asked.world, asked.device), asked.steps).filler
    dtype = DTYPES[asked.precision]
    return filler.net.to(dtype), filler.codec.to(dtype), filler.sampling
