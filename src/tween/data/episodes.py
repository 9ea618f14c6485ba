"""Episodes of a world: frames and the actions between them, in memory or in shards, and windows cut from them.

The action at index i leads from frame i to frame i + 1 (as in Matrix-Game-2, whose latent l, frames 4l-3 to 4l, sees
the actions before 4l). A *cut* is a frame that does not follow from the one before it: the first of an episode, of a
new life or map, and the first after a teleport.

A shard is a tar file; under each key lie `frames.mjpeg` (JPEG pictures one after another, which players open as
Motion JPEG), `ends.npy` (int64, where each picture ends), `keys.npy`, `mouse.npy`, `pose.npy`, `cuts.npy` and `json`.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.folders import whole
from tween.video.bulk import decode_picture, encode_jpeg

DEGREES = 40.0  # that a mouse value of 1 turns the eyes in a frame
ARRAYS = ("ends", "keys", "mouse", "pose", "cuts")


@dataclass(frozen=True, kw_only=True, eq=False)
class Episodes:
    """Episodes of one length and size.

    Attributes:
        frames: `n f h w 3` uint8; an array, or `Jpegs`, which decodes what is asked of it.
        keys: `n f k` uint8, 1 for pressed; (W, S, A, D).
        mouse: `n f 2` float32, (vertical, horizontal), up and right positive; `DEGREES` of it a frame.
        pose: `n f 5` float32: x, y, z in the world's units, yaw (anticlockwise) and pitch (up) in degrees.
        cuts: `n f` bool, True for a frame that does not follow from the one before it.
        about: of each, `seed`, `map`, `kind`, `rate` (frames per second, a fraction as text) and the like.
    """

    frames: Any
    keys: np.ndarray
    mouse: np.ndarray
    pose: np.ndarray
    cuts: np.ndarray
    about: tuple[dict[str, Any], ...]

    def __len__(self) -> int:
        return len(self.keys)


class Window(NamedTuple):
    """Frames that follow from each other: `frames` `b f h w 3` uint8, `keys` `b f k` uint8, `mouse` `b f 2` float32;
    action i leads from frame i to frame i + 1, so that the last one leads out of the window."""

    frames: Tensor
    keys: Tensor
    mouse: Tensor


def windows(episodes: Episodes, length: int, *, stride: int = 1) -> np.ndarray:
    """Every window of `length` frames without a cut inside: `m 2` int64, (episode, first frame), in order.

    Args:
        stride: only first frames that it divides.

    Raises:
        TweenError: if there is none.
    """
    count = np.cumsum(episodes.cuts, 1)
    first = np.arange(0, count.shape[1] - length + 1, stride) if length > 0 else np.arange(0)
    episode, at = np.nonzero(count[:, first] == count[:, first + length - 1])
    if not len(at):
        raise TweenError(
            f"windows of {length} frames should fit between the cuts of {len(episodes)} episodes of "
            f"{count.shape[1]} frames, but none does; ask for shorter ones or record longer episodes"
        )
    return np.stack((episode, first[at]), 1)


def take(episodes: Episodes, places: np.ndarray, length: int) -> Window:
    """The windows at `places` (`b 2`, some rows of `windows`)."""
    spans = [(int(n), slice(int(i), int(i) + length)) for n, i in places]
    parts = (episodes.frames, episodes.keys, episodes.mouse)
    return Window(*(torch.from_numpy(np.stack([part[span] for span in spans])) for part in parts))


@dataclass(frozen=True, kw_only=True, eq=False)
class Jpegs:
    """Pictures in shards, read like an array `n f h w 3`: `jpegs[episode, first:end]`.

    Attributes:
        places: of each episode, the shard and where its pictures begin there.
        ends: `n f` int64, where each picture ends, counted from there.
        size: (h, w).
    """

    places: tuple[tuple[Path, int], ...]
    ends: np.ndarray
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """`n f h w 3`."""
        return (*self.ends.shape, *self.size, 3)

    def __getitem__(self, index: tuple[int, slice]) -> np.ndarray:
        (path, begin), ends = self.places[index[0]], self.ends[index[0]]
        spans = list(zip(np.concatenate(([0], ends[:-1]))[index[1]], ends[index[1]], strict=True))
        if not spans:
            return np.zeros((0, *self.size, 3), np.uint8)
        try:
            with path.open("rb") as file:
                file.seek(begin + int(spans[0][0]))
                data = file.read(int(spans[-1][1] - spans[0][0]))
            return np.stack([decode_picture(data[a - spans[0][0] : b - spans[0][0]]) for a, b in spans])
        except (OSError, ValueError) as error:
            raise TweenError(
                f"{path} should hold the pictures of an episode, but they cannot be read ({error}); copy it again"
            ) from error


def read(folder: Path) -> Episodes:
    """The episodes of a folder's shards (`*.tar`), pictures left there until they are asked for.

    Raises:
        TweenError: if there is none, one is cut short, or they differ in length or size.
    """
    paths = sorted(folder.glob("*.tar"))
    if not paths:
        raise TweenError(
            f"{folder} should hold shards (*.tar), but has none; record some with tween data record doom"
        )
    with ThreadPoolExecutor(8) as pool:
        found = [episode for shard in pool.map(_look_through, paths) for episode in shard]
    kinds = {(len(parts["keys"]), *parts["json"]["size"]) for parts in found}
    if len(kinds) > 1:
        raise TweenError(
            f"the episodes in {folder} should have one length and size, but have (frames, w, h) "
            f"{' and '.join(map(str, sorted(kinds)))}; keep one kind in a folder"
        )
    ends, keys, mouse, pose, cuts = (np.stack([parts[name] for parts in found]) for name in ARRAYS)
    about = tuple(parts["json"] for parts in found)
    width, height = about[0]["size"]
    frames = Jpegs(places=tuple(parts["place"] for parts in found), ends=ends, size=(height, width))
    return Episodes(frames=frames, keys=keys, mouse=mouse, pose=pose, cuts=cuts, about=about)


def loaded(episodes: Episodes, workers: int = 8) -> np.ndarray:
    """All frames of all episodes decoded: `n f h w 3` uint8."""
    out = np.empty(episodes.frames.shape, np.uint8)
    with ThreadPoolExecutor(workers) as pool:
        for n, frames in enumerate(pool.map(lambda n: episodes.frames[n, :], range(len(out)))):
            out[n] = frames
    return out


def _look_through(path: Path) -> list[dict[str, Any]]:
    """Each episode of a shard: its arrays, json, and the place of its pictures."""
    found: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, _, part = member.name.partition(".")
                data = found.setdefault(key, {})
                name = part.removesuffix(".npy")
                if part == "frames.mjpeg":
                    data["place"] = path, member.offset_data
                elif name in ARRAYS:
                    data[name] = np.load(io.BytesIO(tar.extractfile(member).read()))
                elif part == "json":
                    data["json"] = json.load(tar.extractfile(member))
            size = path.stat().st_size
    except (OSError, ValueError, EOFError, tarfile.TarError) as error:
        raise TweenError(f"{path} should be a whole shard, but is not ({error}); copy it again") from error
    for key, data in found.items():
        missing = {*ARRAYS, "json", "place"} - data.keys()
        if missing or data["place"][1] + data["ends"][-1] > size:
            lack = ", ".join(sorted(missing)) or "the end of its pictures"
            raise TweenError(f"{path} should hold whole episodes, but {key} lacks {lack}; copy it again")
    if not found:
        raise TweenError(f"{path} should hold episodes, but has none; leave it out of the folder")
    return list(found.values())


def write(folder: Path, shards: Iterable[Episodes], *, quality: int = 95, workers: int = 1) -> int:
    """Write each of `shards` as a tar file into a new `folder`, which appears when it is whole.

    Args:
        quality: of the JPEG pictures, 4:4:4.
        workers: threads that compress.

    Returns:
        How many episodes there were.

    Raises:
        TweenError: if the folder is there already or cannot be written.
    """
    count = 0
    with whole(folder, "episodes") as part, ThreadPoolExecutor(workers) as pool:
        for number, episodes in enumerate(shards):
            with tarfile.open(part / f"{number:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
                for n, about in enumerate(episodes.about):
                    pictures = list(pool.map(lambda f: encode_jpeg(f, quality), episodes.frames[n]))
                    for name, data in _parts(episodes, n, about, pictures):
                        member = tarfile.TarInfo(f"{count:08d}.{name}")
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))
                    count += 1
    return count


def _parts(
    episodes: Episodes, n: int, about: dict[str, Any], pictures: list[bytes]
) -> Iterator[tuple[str, bytes]]:
    yield "frames.mjpeg", b"".join(pictures)
    ends = np.cumsum([len(p) for p in pictures])
    arrays = (ends, episodes.keys[n], episodes.mouse[n], episodes.pose[n], episodes.cuts[n])
    for name, array in zip(ARRAYS, arrays, strict=True):
        buffer = io.BytesIO()
        np.save(buffer, array)
        yield f"{name}.npy", buffer.getvalue()
    yield "json", json.dumps(about).encode()
