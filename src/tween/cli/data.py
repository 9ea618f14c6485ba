"""`tween data`: the datasets by name; whether one lies in a folder as it should; shards of them; a world recorded."""

from __future__ import annotations

import argparse
from pathlib import Path

from tween.cli import data_encode, data_record, data_shard
from tween.core import TweenError


def parser() -> argparse.ArgumentParser:
    """Flags of `tween data`, by action."""
    p = argparse.ArgumentParser(prog="tween data", description=__doc__)
    actions = p.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="the datasets, and what each is for")
    add_check(
        actions.add_parser("check", help="what a folder holds of a dataset, what is missing, what to do")
    )
    data_shard.add(actions.add_parser("shard", help="write a training set as WebDataset shards"))
    data_encode.add(actions.add_parser("encode", help="write clips as shards of latents"))
    data_record.add(actions.add_parser("record", help="record episodes of a world: frames and actions"))
    return p


def add_check(p: argparse.ArgumentParser) -> None:
    """Flags of `tween data check`."""
    p.add_argument("name", help="of `tween data list`")
    p.add_argument("--path", type=Path, required=True, help="the set's folder")
    p.add_argument(
        "--all", action="store_true", help="open every file, not some of each set and the ends of all"
    )


def main(argv: list[str]) -> int:
    """Exit code 1 if a dataset is not whole."""
    args = parser().parse_args(argv)
    actions = {"shard": data_shard.main, "encode": data_encode.main, "record": data_record.main}
    if args.action in actions:
        return actions[args.action](args)
    return check(args.name, args.path, every=args.all) if args.action == "check" else show()


def show() -> int:
    """Print every dataset's line."""
    from tween.data import DATASETS

    for name, entry in DATASETS.items():
        uses = " and ".join(use for use, there in (("train", entry.train), ("test", entry.read)) if there)
        print(f"{name:22} {uses:15} {entry.about}")
    return 0


def check(name: str, path: Path, *, every: bool) -> int:
    """Print what is there, and a sentence for each thing that is wrong."""
    from tween.data import DATASETS
    from tween.data.check import explained, look

    if name not in DATASETS:
        raise TweenError(f"there is no dataset {name!r}; choose one of {', '.join(DATASETS)}")
    found = look(explained(DATASETS[name].check)(path), every=every)
    for line in found.found:
        print(f"  {line}")
    for sentence in found.wrong:
        print(f"! {sentence}")
    print(f"{name} is not complete in {path}" if found.wrong else f"{name} is complete in {path}")
    return int(bool(found.wrong))
