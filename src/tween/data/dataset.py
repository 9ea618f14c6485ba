"""What the code that measures and trains knows of a dataset, and what can be said of a folder that should hold one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tween.data.source import Source


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a folder holds of a dataset.

    Attributes:
        found: what is there, a line for each part.
        wrong: a sentence for each thing that is not as it should be: what was expected, what came, what to do.
        files: of the dataset, those that are there.
        size: (width, height) of all its pictures; None where they differ.
    """

    found: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    files: tuple[Path, ...] = field(default=(), repr=False)
    size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset.

    Attributes:
        about: what it is, in a line.
        check: folder -> what it holds. Whether the files can be opened is for `tween.data.check.look`.
        read: folder -> scenes to measure on (`name`, `t`, `load()`, as `Triplet` has them); None: not for that.
        train: folder -> samples to train on; None: not for that.
    """

    about: str
    check: Callable[[Path], Check]
    read: Callable[[Path], Sequence[Any]] | None = None
    train: Callable[[Path], Source] | None = None
