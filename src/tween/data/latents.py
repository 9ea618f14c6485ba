"""Latents of clips with text, in WebDataset shards of 256: under each key `latent.npy` (`t c h w`), and where there is
text `embed.npy` (an embedding, `e` or `l e`) and `txt` (the prompt)."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError

EACH = 256
"""Clips in a shard, as the plan has them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """Clips of one size.

    Attributes:
        clips: `n t c h w` fp16.
        text: `n e` fp32, embeddings, averaged over their tokens; None where there are none.
        prompts: `n`, empty where there are none.
    """

    clips: Tensor
    text: Tensor | None
    prompts: tuple[str, ...]


def write(folder: Path, latents: Latents, *, each: int = EACH) -> list[Path]:
    """Shards `shard-00000.tar` .. of `each` clips."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _write(folder / f"shard-{i:05d}.tar", latents, range(at, min(at + each, len(latents.clips))))
        for i, at in enumerate(range(0, len(latents.clips), each))
    ]


def _write(path: Path, latents: Latents, numbers: Sequence[int]) -> Path:
    with tarfile.open(path, "w") as shard:
        for n in numbers:
            parts = {"latent.npy": _npy(latents.clips[n])}
            if latents.text is not None:
                parts |= {"embed.npy": _npy(latents.text[n]), "txt": latents.prompts[n].encode()}
            for name, data in parts.items():
                info = tarfile.TarInfo(f"{n:08d}.{name}")
                info.size = len(data)
                shard.addfile(info, io.BytesIO(data))
    return path


def read(folder: Path, *, most: int | None = None) -> Latents:
    """All clips of a folder's shards, in memory, or the first `most`.

    Raises:
        TweenError: if there is no shard, one cannot be read, clips differ in size, or some have text and some not.
    """
    paths = sorted(folder.glob("*.tar"))
    if not paths:
        raise TweenError(
            f"{folder} should hold shards (*.tar) of latents, but has none; point to their folder"
        )
    found: list[dict[str, bytes]] = []
    for path in paths:
        found += _clips(path)
        if most is not None and len(found) >= most:
            break
    found = found[:most]
    try:
        clips = torch.stack([_tensor(clip["latent.npy"]).half() for clip in found])
        texts = [_tensor(clip["embed.npy"]).float() for clip in found if "embed.npy" in clip]
        text = torch.stack([x if x.ndim == 1 else x.mean(0) for x in texts]) if texts else None
    except (KeyError, ValueError, RuntimeError) as error:
        raise TweenError(
            f"{folder} should hold KEY.latent.npy of one size under every key, but does not ({error}); write it again"
        ) from None
    if texts and len(texts) != len(found):
        raise TweenError(
            f"{folder} should hold KEY.embed.npy under every key or under none, but {len(texts)} of {len(found)} have "
            f"one; write it again"
        )
    return Latents(clips=clips, text=text, prompts=tuple(clip.get("txt", b"").decode() for clip in found))


def _clips(path: Path) -> Iterator[dict[str, bytes]]:
    """Parts of each clip by name, in the order of a shard."""
    clips: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(path) as shard:
            for member in shard:
                key, _, name = member.name.partition(".")
                if member.isfile():
                    clips.setdefault(key, {})[name] = shard.extractfile(member).read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise TweenError(
            f"{path} should be a shard of latents, but cannot be read ({error}); copy it again"
        ) from None
    yield from clips.values()


def _npy(x: Tensor) -> bytes:
    file = io.BytesIO()
    np.save(file, x.cpu().numpy())
    return file.getvalue()


def _tensor(data: bytes) -> Tensor:
    return torch.from_numpy(np.load(io.BytesIO(data)))
