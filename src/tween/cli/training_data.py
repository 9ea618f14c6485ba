"""What `tween ablate` and `tween search` share: flags, batches, scenes, and what stands for them in a hash."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tween.core import TweenError

if TYPE_CHECKING:
    from tween.recipes.ablate_rows import Row
    from tween.recipes.feeds import Feed


def add_data(p: argparse.ArgumentParser) -> None:
    """Flags of what is trained and measured on, the same for `tween ablate` and `tween search`."""
    p.add_argument(
        "--data", type=Path, help="folder of clips; cuts by its shots.csv, or found and kept as one"
    )
    p.add_argument("--packed", type=Path, help="with --data: where decoded clips are kept; else DATA/packed")
    p.add_argument(
        "--photos", type=Path, help="with --data: folder of pictures whose pieces become synthetic layers"
    )
    p.add_argument("--data-path", type=Path, help="instead of --data: Vimeo90K, triplet or septuplet")
    p.add_argument("--x4k-path", type=Path, help="with --data-path: X4K1000FPS, for phase 3")
    p.add_argument(
        "--triplets",
        type=Path,
        help="instead of --data: scenes of im1, im2, im3, and .flo files where there are",
    )
    p.add_argument("--val", type=Path, help="folder of triplets to measure on; else Vimeo90K's own test list")
    p.add_argument(
        "--val-set", default="triplets", help="what --val is: triplets, snu-film-hard, xtest-4k, ..."
    )
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--crop", type=int, default=256, help="pixels a side (256)")
    p.add_argument(
        "--synthetic", type=float, help="with --data: share of a batch that is layered motion (0.33)"
    )
    p.add_argument("--pixels", type=float, default=24.0, help="greatest mean motion of a real triple (24)")
    p.add_argument(
        "--ema", type=float, default=0.0, help="decay of the averaged weights that are measured; 0: none"
    )
    p.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    p.add_argument(
        "--compiled", action="store_true", help="torch.compile; what compiling takes does not count"
    )
    p.add_argument(
        "--vgg", type=Path, help="torchvision's VGG-19 weights; without them that term is left out"
    )
    p.add_argument("--device", default="auto")
    p.add_argument("--num-workers", type=int, default=16, help="threads that decode, processes that read")


class Crew(NamedTuple):
    """Which of how many workers this process is."""

    number: int = 0
    count: int = 1


def crew() -> Crew:
    """What torchrun started: workers that share out rows or trials, each by itself on one of the GPUs, in turn.

    Whoever trains behind this call trains alone: processes that wait for one another could not do different rows.
    """
    if "WORLD_SIZE" not in os.environ:
        return Crew()
    import torch

    number, count, local = (int(os.environ.pop(name)) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
    return Crew(number, count)


def settled(options: argparse.Namespace) -> argparse.Namespace:
    """Layered motion only where there are clips on the device to make it of."""
    share = (0.33 if options.data else 0.0) if options.synthetic is None else options.synthetic
    return argparse.Namespace(**vars(options) | {"synthetic": share})


def sources(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """The scenes to measure on, and what stands for the data.

    Raises:
        TweenError: if there is no data, or no scenes.
    """
    from tween.data import layers, videos
    from tween.data.pictures import files_below
    from tween.recipes.ablate import fingerprint
    from tween.recipes.interp import photographs

    if [bool(options.data), bool(options.data_path), bool(options.triplets)].count(True) != 1:
        raise TweenError("give --data (clips), --data-path (Vimeo90K) or --triplets, one of them")
    if options.data:
        videos.clips(options.data)  # its list of cuts is a part of the data: it is there from here on
    scenes = validation(options)
    if not scenes:
        raise TweenError("there is nothing to measure on; name a folder of triplets by --val")
    facts = {
        "data": options.data and fingerprint(clips_in(options.data)),
        "photos": options.photos and fingerprint(photographs(options.photos)),
        "triplets": options.triplets
        and fingerprint([p for p in files_below(options.triplets) if p.is_file()]),
        "sets": [path.name for path in (options.data_path, options.x4k_path) if path],
        "samples": None if options.data else feeds(options)(None).samples,
        "val": digest_of(scenes),
        "pixels": options.pixels,
        "vgg": options.vgg is not None,
    }
    return scenes, facts | ({"layers": layers.DRAWN} if options.data else {})


def validation(options: argparse.Namespace) -> Any:
    """The scenes that --val and --val-set name, else those that come with the training set."""
    named = test_set(options.val_set, options.val)
    return feeds(options)(None).scenes if named is None else named


def test_set(name: str, path: Path | None) -> Any:
    """The scenes of the test set that --val-set names at --val; None without --val.

    Raises:
        TweenError: if there is no such set, it is not there, or it is named without a folder.
    """
    from tween.data import DATASETS

    readable = [known for known, dataset in DATASETS.items() if dataset.read]
    if name not in readable:
        raise TweenError(f"--val-set should be one of {', '.join(readable)}, but is {name}")
    if path is None and name != "triplets":  # its default: else it would be measured on another set, unsaid
        raise TweenError(f"--val-set {name} needs its folder; give it by --val")
    return None if path is None else DATASETS[name].read(path)


def clips_in(data: Path) -> list[Path]:
    """shots.csv and the clips beside it, but not what was decoded from them."""
    return [p for p in data.rglob("*") if p.is_file() and "packed" not in p.relative_to(data).parts]


def digest_of(scenes: Any) -> str:
    """Stands for a set of scenes, by their names and the sizes of their files."""
    from tween.recipes.ablate import digest

    files = [[p for p in vars(scene).values() if isinstance(p, Path)] for scene in scenes]
    return digest(
        [[scene.name, [p.stat().st_size for p in some]] for scene, some in zip(scenes, files, strict=True)]
    )


def needs_large(options: argparse.Namespace) -> None:
    """That there is a large-motion set to mix in.

    Raises:
        TweenError: if there is none; clips serve as one themselves.
    """
    if options.data is None and options.x4k_path is None:
        raise TweenError(
            "this mixes in a set of large motion; name X4K1000FPS by --x4k-path, or clips by --data"
        )


def perceptual(options: argparse.Namespace) -> Any:
    """VGG-19 on the device, None where no weights are named."""
    if options.vgg is None:
        return None
    from tween.nn.vgg import vgg19
    from tween.zoo.load import place

    return vgg19(options.vgg).to(place(options.device))


def feeds(options: argparse.Namespace, teacher: Path | None = None) -> Callable[[Row | None], Feed]:
    """Row -> its batches, None -> everybody's; frames held on the device are decoded once for all."""
    from tween.recipes import feeds as kinds
    from tween.recipes.interp import load
    from tween.recipes.teachers import flow_files, taught
    from tween.recipes.teachers import teacher as named

    held = cache(load)

    def clips(share: float) -> Feed:
        return kinds.clips(
            data=options.data,
            packed=options.packed or options.data / "packed",
            photos=options.photos,
            synthetic=share,
            pixels=options.pixels,
            workers=options.num_workers,
            load=held,
        )

    def disk(share: float) -> Feed:
        if share != options.synthetic:
            raise TweenError(
                "a row that sets the share of layered motion needs clips on the device; give --data"
            )
        if options.triplets:
            return flow_files(options.triplets, workers=options.num_workers)
        both = (1, int(options.x4k_path is not None))
        paths = {"data_path": options.data_path, "x4k_path": options.x4k_path}
        return kinds.sets(**paths, ratio=both, workers=options.num_workers)

    def feed(row: Row | None) -> Feed:
        if row is not None and row.plan.get("ratio", (1, 0))[1]:
            needs_large(options)
        share = options.synthetic if row is None or row.synthetic is None else row.synthetic
        return taught((clips if options.data else disk)(share), named(row and row.teacher, teacher))

    return feed
