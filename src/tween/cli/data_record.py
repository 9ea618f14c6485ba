"""`tween data record doom --out DIR`: episodes of a world, frames and actions, as WebDataset shards."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path

from tween.core import TweenError


def add(p: argparse.ArgumentParser) -> None:
    """Flags of `tween data record`."""
    p.add_argument(
        "world", choices=("doom",), help="doom: ViZDoom with Freedoom; needs no display and no network"
    )
    p.add_argument("--out", type=Path, required=True, help="a new folder for the shards")
    p.add_argument("--episodes", type=int, default=16)
    p.add_argument("--seconds", type=float, default=60.0, help="of an episode, at 17.5 frames a second")
    p.add_argument("--size", default="128x96", help="WxH of a frame, 4:3")
    p.add_argument("--workers", type=int, default=1, help="games played at a time; they need a core each")
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same episodes, bit for bit")
    p.add_argument("--kinds", nargs="+", metavar="KIND", help="held, mixed, random; by default in turn")
    p.add_argument("--maps", nargs="+", metavar="MAP", help="of MAP01 to MAP32; by default any of them")


def main(args: argparse.Namespace) -> int:
    """Record them and say how many there are."""
    from tween.data.record_doom import RATE, Doom, record
    from tween.data.wander import KINDS

    config = Doom(
        seconds=args.seconds,
        size=size(args.size),
        seed=args.seed,
        kinds=tuple(args.kinds or KINDS),
        maps=tuple(args.maps or ()),
    )
    began = time.perf_counter()
    count = record(args.out, config, episodes=args.episodes, workers=args.workers)
    rate = count / (time.perf_counter() - began)
    print(
        f"{args.episodes:,} episodes, {count:,} frames of {args.size} at {float(RATE)} a second in {args.out}; "
        f"recorded {rate:,.0f} a second"
    )
    return 0


def size(text: str) -> tuple[int, int]:
    """(width, height) of text such as 128x96."""
    if not (match := re.fullmatch(r"(\d+)x(\d+)", text)):
        raise TweenError(f"--size should be WIDTHxHEIGHT such as 128x96, but got {text!r}")
    return int(match[1]), int(match[2])
