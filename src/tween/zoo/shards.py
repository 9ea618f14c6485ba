"""Weights of more than one file: `net-1-of-2.safetensors`, `net-2-of-2.safetensors` stand for `net.safetensors`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tween.core import TweenError

LIMIT = 14_500_000


def parts(path: Path) -> list[Path]:
    """The files that hold the weights `path`, in order: itself where it is there, else its shards.

    Raises:
        TweenError: if neither is there, or a shard is missing.
    """
    if path.is_file():
        return [path]
    found = sorted(path.parent.glob(f"{path.stem}-*-of-*{path.suffix}"))
    total = int(found[0].stem.rsplit("-", 1)[1]) if found else 1
    if len(found) != total:
        raise TweenError(
            f"the weights {path.name} should be at {path}, but "
            f"{f'{len(found)} of their {total} files' if found else 'are not'} there; reinstall tween-video"
        )
    return found


def digest(path: Path) -> str:
    """SHA-256 of the weights `path`, their shards read one after the other."""
    sha = hashlib.sha256()
    for part in parts(path):
        sha.update(part.read_bytes())
    return sha.hexdigest()


def split(path: Path, limit: int = LIMIT) -> list[Path]:
    """Replace the file `path` by shards of at most about `limit` bytes of tensors each, where it is larger.

    Raises:
        TweenError: if it would take ten or more.
    """
    large, old = path.stat().st_size > limit, path.parent.glob(f"{path.stem}-*-of-*{path.suffix}")
    for shard in list(old):
        shard.unlink()
    if not large:
        return [path]
    with safe_open(path, "pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    groups = _groups(tensors, limit)
    if len(groups) > 9:
        raise TweenError(f"{path} would become {len(groups)} files of {limit:,} bytes, but 9 are the most")
    made = [
        path.with_name(f"{path.stem}-{i}-of-{len(groups)}{path.suffix}") for i in range(1, len(groups) + 1)
    ]
    for part, group in zip(made, groups, strict=True):
        save_file(group, part, about)
    path.unlink()
    return made


def _groups(tensors: Mapping[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    """`tensors` in their order, a new group whenever one is full."""
    groups: list[dict[str, Tensor]] = [{}]
    room = limit
    for name, tensor in tensors.items():
        if tensor.nbytes > room and groups[-1]:
            groups.append({})
            room = limit
        groups[-1][name] = tensor
        room -= tensor.nbytes
    return groups
