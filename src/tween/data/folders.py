"""Folders that appear when they are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tween.core import TweenError


@contextmanager
def whole(folder: Path, what: str) -> Iterator[Path]:
    """A folder beside `folder` to write `what` into; it gets its name if all went well, and is removed if not.

    Raises:
        TweenError: if `folder` is there already, or cannot be written.
    """
    if folder.exists():
        raise TweenError(
            f"{what} are written to a new folder, but {folder} is there already; remove it first"
        )
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        yield part
        part.rename(folder)
    except OSError as error:
        raise TweenError(
            f"could not write {what} to {folder} ({error}); free some space and repeat"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
