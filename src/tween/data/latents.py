"""Latents of clips with text, in WebDataset shards of 256: under each key `latent.npy` (`t c h w`), and where there is
text `embed.npy` (an embedding, `e` or `l e`) and `txt` (the prompt). Beside the shards `encoded.json` tells of the
autoencoder, where we encoded them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.folders import whole

EACH = 256
"""Clips in a shard, as the plan has them."""
ABOUT = "encoded.json"

Clip = tuple[Tensor, Tensor | None, str]
"""Latents `t c h w`, an embedding `e` or `l e` or None, a prompt or nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """Clips of one size.

    Attributes:
        clips: `n t c h w` fp16.
        text: `n e` fp32, embeddings, averaged over their tokens; None where there are none.
        prompts: `n`, empty where there are none.
        about: what `encoded.json` says; empty where there is none.
        shards: names of the files that were read.
    """

    clips: Tensor
    text: Tensor | None
    prompts: tuple[str, ...]
    about: dict[str, Any] = field(default_factory=dict)
    shards: tuple[str, ...] = ()


def write(folder: Path, latents: Latents, *, each: int = EACH) -> list[Path]:
    """Shards `shard-00000.tar` .. of `each` clips."""
    text = repeat(None) if latents.text is None else latents.text
    folder.mkdir(parents=True, exist_ok=True)
    return list(_shards(folder, zip(latents.clips, text, latents.prompts, strict=False), each))


def stream(folder: Path, clips: Iterable[Clip], about: dict[str, Any], *, each: int = EACH) -> int:
    """The same of clips as they come, into a new folder that appears when it is whole. Returns how many there were.

    Raises:
        TweenError: if the folder is there already or cannot be written, or there is no clip.
    """
    written = 0

    def counted() -> Iterator[Clip]:
        nonlocal written
        for clip in clips:
            written += 1
            yield clip

    with whole(folder, "shards") as part:
        for _ in _shards(part, counted(), each):
            pass
        if not written:
            raise TweenError(f"{folder} would hold no clips, since none is long enough; take fewer --frames")
        (part / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    return written


def _shards(folder: Path, clips: Iterable[Clip], each: int) -> Iterator[Path]:
    """The paths of shards, each when it is whole."""
    numbered = enumerate(clips)
    for i in count():
        if (first := next(numbered, None)) is None:
            return
        path = folder / f"shard-{i:05d}.tar"
        with tarfile.open(path, "w") as shard:
            for n, clip in chain([first], islice(numbered, each - 1)):
                _add(shard, f"{n:08d}", *clip)
        yield path


def _add(shard: tarfile.TarFile, key: str, latent: Tensor, text: Tensor | None, prompt: str) -> None:
    parts = {"latent.npy": _npy(latent)}
    if text is not None:
        parts |= {"embed.npy": _npy(text)}
    if text is not None or prompt:
        parts |= {"txt": prompt.encode()}
    for name, data in parts.items():
        info = tarfile.TarInfo(f"{key}.{name}")
        info.size = len(data)
        shard.addfile(info, io.BytesIO(data))


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
    shards = []
    for path in paths:
        found += _clips(path)
        shards.append(path.name)
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
    prompts = tuple(clip.get("txt", b"").decode() for clip in found)
    return Latents(
        clips=clips, text=text, prompts=prompts, about=_about(folder / ABOUT), shards=tuple(shards)
    )


def _about(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise TweenError(
            f"{path} should say in JSON what made the latents, but cannot be read ({error})"
        ) from None


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
