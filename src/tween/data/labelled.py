"""Pictures with a class, all of them in memory: CIFAR-10 as JPEG in a tar, any folder of one folder a class, or noise
to try things out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tween.core import TweenError
from tween.data.check import home
from tween.data.dataset import Check
from tween.data.pictures import PICTURES, pixels

ARCHIVE = "cifar10.tar.xz"
COUNTS = {"train": 50_000, "test": 10_000}
SIDE = 32
THREADS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Pictures of one size and their classes.

    Attributes:
        pictures: `n 3 h w` uint8 RGB.
        labels: `n` int64.
        classes: names.
    """

    pictures: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Labelled:
        """The same, elsewhere."""
        pictures, labels = self.pictures.to(device), self.labels.to(device)
        return Labelled(pictures=pictures, labels=labels, classes=self.classes)


def cifar10(root: Path, split: str = "train") -> Labelled:
    """CIFAR-10 (Krizhevsky, 2009) from `cifar10.tar.xz`, or the folder that holds it: `train/<class>/*.jpg`.

    Raises:
        TweenError: if the archive is not there or does not hold the split.
    """
    path = _archive(root)
    found = list(_members(path, split))
    if not found:
        raise TweenError(f"{path} should hold {split}/<class>/*.jpg, but does not; copy the archive again")
    names, data = zip(*found, strict=True)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            pictures = np.stack(list(pool.map(_decoded, data)))
    except (OSError, ValueError) as error:
        raise TweenError(f"{path} should hold pictures of one size, but {error}; copy it again") from None
    return _labelled(pictures, names)


def check(root: Path) -> Check:
    """How many pictures of each split the archive holds."""
    path = _archive(root)
    counts = {split: sum(1 for _ in _members(path, split)) for split in COUNTS}
    found = tuple(f"{n:,} of {COUNTS[split]:,} pictures to {split} on" for split, n in counts.items())
    wrong = tuple(
        f"{path} should hold {COUNTS[split]:,} pictures in {split}/, but has {n:,}; copy it again"
        for split, n in counts.items()
        if n != COUNTS[split]
    )
    return Check(found=found, wrong=wrong)


def _decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def _archive(root: Path) -> Path:
    return root if root.is_file() else home(root, (ARCHIVE,), "CIFAR-10 as JPEG") / ARCHIVE


def _members(path: Path, split: str) -> Iterator[tuple[str, bytes]]:
    """Class and bytes of every picture of a split, in the archive's order."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                parts = Path(member.name).parts
                if member.isfile() and len(parts) == 3 and parts[0] == split:
                    yield parts[1], archive.extractfile(member).read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise TweenError(f"{path} should be an archive of CIFAR-10, but {error}; copy it again") from None


def folder(root: Path, side: int, split: str = "train") -> Labelled:
    """Pictures of `root`/split/<class>/ (or `root`/<class>/), their middle square shrunk to `side` by area.

    Raises:
        TweenError: if there is no class with a picture, or one cannot be read.
    """
    paths = listed(root, split)
    return _labelled(opened(paths, side), [p.parent.name for p in paths])


def listed(root: Path, split: str = "train") -> list[Path]:
    """The pictures of a folder of classes, class by class.

    Raises:
        TweenError: if there is none.
    """
    top = root / split if (root / split).is_dir() else root
    paths = sorted(p for p in top.glob("*/*") if p.suffix.lower() in PICTURES) if top.is_dir() else []
    if not paths:
        raise TweenError(
            f"{root} should hold a folder of pictures for every class, but has none; point to one"
        )
    return paths


def opened(paths: Sequence[Path], side: int) -> np.ndarray:
    """`n side side 3` uint8."""
    with ThreadPoolExecutor(THREADS) as pool:
        return np.stack(list(pool.map(lambda p: squared(pixels(p), side), paths)))


def numbered(names: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """The class of each, `n`, and their names."""
    classes = {name: i for i, name in enumerate(sorted(set(names)))}
    return torch.tensor([classes[name] for name in names]), tuple(classes)


def squared(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle square of `h w 3`, at `side` pixels."""
    short, image = min(picture.shape[:2]), Image.fromarray(picture)
    x, y = (image.width - short) // 2, (image.height - short) // 2
    box = (x, y, x + short, y + short)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX, box=box))


def fake(side: int, *, classes: int = 10, each: int = 64, seed: int = 0) -> Labelled:
    """Smooth noise around a colour of its own for every class: nothing to see, but all that a run needs."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(each)
    colour = torch.rand(classes, 3, 1, 1, generator=g)[labels]
    coarse = torch.rand(len(labels), 3, 4, 4, generator=g)
    noise = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    pictures = ((0.5 * colour + 0.5 * noise) * 255).to(torch.uint8)
    return Labelled(pictures=pictures, labels=labels, classes=tuple(str(i) for i in range(classes)))


def _labelled(pictures: np.ndarray, names: Sequence[str]) -> Labelled:
    labels, classes = numbered(names)
    return Labelled(pictures=torch.from_numpy(pictures).permute(0, 3, 1, 2), labels=labels, classes=classes)
