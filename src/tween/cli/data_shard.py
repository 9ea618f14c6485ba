"""`tween data shard NAME --path DIR --out SHARDS`: a training set as WebDataset shards, read fast by many processes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tween.core import TweenError


def add(p: argparse.ArgumentParser) -> None:
    """Flags of `tween data shard`."""
    p.add_argument("name", help="a training set of `tween data`, or clips: a folder with shots.csv")
    p.add_argument("--path", type=Path, required=True, help="where it is")
    p.add_argument("--out", type=Path, required=True, help="a new folder for the shards")
    p.add_argument("--samples", type=int, help="how many; by default each once, of clips 10000")
    p.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=(256, 448),
        metavar=("H", "W"),
        help="of a sample; crops are cut of it",
    )
    p.add_argument("--raw", action="store_true", help="not compressed: twice the space, quicker to read")
    p.add_argument("--per-shard", type=int, default=1000, help="samples in a shard")
    p.add_argument("--packed", type=Path, help="of clips: where decoded frames are kept; else PATH/packed")
    p.add_argument("--pixels", type=float, default=24.0, help="of clips: greatest mean motion of a triple")
    p.add_argument("--device", default="auto", help="of clips: where triples are cut")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--workers", type=int, default=8, help="threads that read and compress")


def main(args: argparse.Namespace) -> int:
    """Write them and say how many there are."""
    from tween.data.shards import write

    for name in ("samples", "per_shard", "workers"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise TweenError(f"--{name.replace('_', '-')} should be at least 1, but got {value}")
    samples = of_clips(args) if args.name == "clips" else of_set(args)
    count = write(args.out, samples, raw=args.raw, per_shard=args.per_shard, workers=args.workers)
    print(f"{count:,} samples of {args.size[0]}x{args.size[1]} in {args.out}")
    return 0


def of_set(args: argparse.Namespace) -> Iterator[Any]:
    """Samples of a dataset."""
    from tween.data import DATASETS
    from tween.data.shards import drawn

    usable = [name for name, dataset in DATASETS.items() if dataset.train]
    if args.name not in usable:
        raise TweenError(f"there is no training set {args.name!r}; there are {', '.join(usable)} and clips")
    source = DATASETS[args.name].train(args.path)
    return drawn(source, args.samples or len(source), tuple(args.size), args.seed, args.workers)


def of_clips(args: argparse.Namespace) -> Iterator[Any]:
    """Triples cut from clips, augmented as `fast` is trained on them."""
    import torch

    from tween.data.clips import clip_triples
    from tween.data.shards import unstacked
    from tween.recipes.interp import load
    from tween.zoo.load import place

    device, packed = place(args.device), args.packed or args.path / "packed"
    store, windows = load(args.path, packed, None, device, pixels=args.pixels, workers=args.workers)

    def batch(index: int) -> Any:
        g = torch.Generator(device).manual_seed(1_000_003 * (index + 1) + args.seed)
        return clip_triples(store, windows, 8, tuple(args.size), g)

    return unstacked(batch, args.samples or 10_000)
