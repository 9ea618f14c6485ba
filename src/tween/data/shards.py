"""Samples in WebDataset shards: tar files that are read by place, so that every sample has a number.

Under each key a shard holds `frames.npy` (`3 3 h w` uint8), or the three as `first.png`, `middle.png`, `last.png`;
`json` with t; `flow.npy` (`4 h w`) where it is known. Any WebDataset tool reads them. WebDataset's own reader deals
whole shards to processes and workers, which loses or repeats samples where the numbers do not divide, and goes on only
by reading from the beginning; by number, `tween.data.mixed` deals out batches exactly.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.augment import augment, crop
from tween.data.clips import Triples
from tween.data.dataset import Check
from tween.data.folders import whole
from tween.data.source import Sample, Source
from tween.video.bulk import decode_picture, encode_picture

PICTURES = ("first.png", "middle.png", "last.png")
PARTS = (*PICTURES, "frames.npy", "flow.npy", "json")
END = bytes(1024)  # what a whole tar ends with


@dataclass(frozen=True, kw_only=True, eq=False)
class Shards:
    """A folder of shards, as a `Source`.

    Attributes:
        paths: the tar files.
        shard: `n`, which of them a sample is in.
        spans: `n parts 2` int64, offset and bytes of each of `PARTS`; no bytes where there is none.
    """

    paths: tuple[Path, ...]
    shard: np.ndarray
    spans: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)

    def name(self, index: int) -> str:
        """As `Source.name`."""
        return f"sample {index} in {self.paths[self.shard[index]]}"

    def load(self, index: int) -> Sample:
        """Sample `index` as it was written.

        Raises:
            TweenError: if it cannot be read.
        """
        path, spans = self.paths[self.shard[index]], self.spans[index]
        begin = int(spans[spans[:, 1] > 0, 0].min())
        try:
            with path.open("rb") as file:
                file.seek(begin)
                data = file.read(int(spans.sum(1).max()) - begin)
            parts = {
                name: data[offset - begin : offset - begin + size]
                for name, (offset, size) in zip(PARTS, spans.tolist(), strict=True)
                if size
            }
            return _decoded(parts)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TweenError(
                f"{self.name(index)} should hold frames and t, but they cannot be read ({error}); "
                f"copy or write the shard again"
            ) from error

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Sample:
        """As `Source.draw`."""
        return augment(crop(self.load(index), size, g), g)


def _decoded(parts: dict[str, bytes]) -> Sample:
    if "frames.npy" in parts:
        frames = torch.from_numpy(np.load(io.BytesIO(parts["frames.npy"])))
    else:
        pictures = np.stack([decode_picture(parts[name]) for name in PICTURES])
        frames = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    flow = np.load(io.BytesIO(parts["flow.npy"])) if "flow.npy" in parts else None
    flow = None if flow is None else torch.from_numpy(flow).float()
    return Sample(frames, float(json.loads(parts["json"])["t"]), flow)


def read(folder: Path) -> Shards:
    """The shards (`*.tar`) of a folder, every one of them looked through.

    Raises:
        TweenError: if there is none, or one is cut short or holds something else.
    """
    paths = sorted(folder.glob("*.tar"))
    if not paths:
        raise TweenError(
            f"{folder} should hold shards (*.tar), but has none; write them with tween data shard"
        )
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(_look_through, paths))
    shard = np.repeat(np.arange(len(paths)), [len(spans) for spans in found])
    return Shards(paths=tuple(paths), shard=shard, spans=np.concatenate(found))


def check(folder: Path) -> Check:
    """How many samples the shards of a folder hold, and which shards are not whole."""
    paths = sorted(folder.glob("*.tar"))
    whole, wrong = [], []
    for path in paths:
        try:
            whole.append(len(_look_through(path)))
        except TweenError as error:
            wrong.append(str(error))
    if not paths:
        wrong.append(f"{folder} should hold shards (*.tar), but has none; write them with tween data shard")
    found = f"{sum(whole):,} samples in {len(whole):,} of {len(paths):,} shards"
    return Check(found=(found,), wrong=tuple(wrong))


def _look_through(path: Path) -> np.ndarray:
    """Where the parts of each sample are: `n parts 2` int64."""
    samples: dict[str, np.ndarray] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, _, name = os.path.basename(member.name).partition(".")
                if name in PARTS:
                    key = os.path.join(os.path.dirname(member.name), key)
                    spans = samples.setdefault(key, np.zeros((len(PARTS), 2), np.int64))
                    spans[PARTS.index(name)] = member.offset_data, member.size
            end = max((m.offset_data + -(-m.size // 512) * 512 for m in tar.getmembers()), default=0)
            tar.fileobj.seek(end)
            whole = tar.fileobj.read(len(END)) == END
    except (OSError, tarfile.TarError) as error:
        raise TweenError(f"{path} should be a whole tar file, but is not ({error}); copy it again") from error
    if not whole:
        raise TweenError(f"{path} should be a whole tar file, but is cut short; copy it again")
    for key, spans in samples.items():
        size = dict(zip(PARTS, spans[:, 1].tolist(), strict=True))
        if not size["json"] or not (size["frames.npy"] or all(size[name] for name in PICTURES)):
            raise TweenError(
                f"{path} should hold frames and json under each key, but {key} lacks some; write it again"
            )
    if not samples:
        raise TweenError(
            f"{path} should hold samples of three frames, but has none; leave it out of the folder"
        )
    return np.stack(list(samples.values()))


def write(
    folder: Path, samples: Iterable[Sample], *, raw: bool = False, per_shard: int = 1000, workers: int = 8
) -> int:
    """Write `samples` as shards into a new `folder`, which appears when it is whole. Returns how many there were.

    Args:
        raw: frames as they are instead of as PNG: about twice the space, and hardly any time to read.
        workers: threads that compress.

    Raises:
        TweenError: if the folder is there already, or webdataset is not installed.
    """
    try:
        from webdataset import ShardWriter
    except ImportError:
        raise TweenError("writing shards needs webdataset: pip install 'tween-video[train]'") from None
    count = 0
    with whole(folder, "shards") as part:
        with ShardWriter(str(part / "%06d.tar"), maxcount=per_shard, maxsize=2**40, verbose=0) as out:
            for encoded in in_threads(partial(_encoded, raw=raw), samples, workers):
                out.write({"__key__": f"{count:08d}", **encoded})
                count += 1
        if not count:
            raise TweenError(
                f"{folder} would hold no samples, since there are none to write; check the source"
            )
    return count


def _encoded(sample: Sample, *, raw: bool) -> dict[str, bytes]:
    frames = sample.frames.permute(0, 2, 3, 1).numpy()
    parts = {"json": json.dumps({"t": sample.t}).encode()}
    if raw:
        parts["frames.npy"] = _npy(sample.frames)
    else:
        parts |= {name: encode_picture(f) for name, f in zip(PICTURES, frames, strict=True)}
    return parts if sample.flow is None else parts | {"flow.npy": _npy(sample.flow.half())}


def _npy(tensor: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, tensor.contiguous().numpy())
    return buffer.getvalue()


def drawn(source: Source, count: int, size: tuple[int, int], seed: int, workers: int = 8) -> Iterator[Sample]:
    """`count` samples of any source at `size` (h, w), going round it, drawn by `workers` threads."""

    def draw(i: int) -> Sample:
        state = np.random.SeedSequence((seed, i)).generate_state(1)
        return source.draw(i % len(source), size, torch.Generator().manual_seed(int(state[0])))

    return in_threads(draw, range(count), workers)


def unstacked(batch: Callable[[int], Triples], count: int) -> Iterator[Sample]:
    """The first `count` samples of any batches, such as those of `tween.recipes.feeds.clips`."""
    left = count
    for index in itertools.count():
        triples = batch(index)
        levels = (triples.frames * 255).round().byte().cpu()
        for i in range(min(left, len(levels))):
            flow = triples.flow[i].cpu() if triples.known[i] else None
            yield Sample(levels[i], float(triples.t[i]), flow)
        left -= len(levels)
        if left <= 0:
            return


def in_threads(make: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Iterator[Any]:
    """`map(make, items)` by threads, a few ahead of what is taken."""
    items = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(make, item) for item in itertools.islice(items, 2 * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(make, item) for item in itertools.islice(items, 1))
