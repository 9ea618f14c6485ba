"""Windows of N known frames with a true frame between them, cut from X4K1000FPS and Vimeo-90K on disk.

Within a window time runs from 0 (first frame) to 1 (last one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data import vimeo, vimeo_septuplet, x4k
from tween.data.augment import below
from tween.data.pictures import Picture, stacked
from tween.data.prefetch import Prefetch


@dataclass(frozen=True, kw_only=True)
class Window:
    """A batch; all of it shares N.

    Attributes:
        frames: `b n 3 h w`, the known ones.
        times: `b n`, increasing from 0 to 1.
        truth: `b 3 h w`, the frame at `t` `b`.
        flow: `b n n+1 2 h w` px: from every known frame to where its places are in each known frame and, last, at t.
        layer: `b n h w`, which layer is seen; greater is nearer. Both zero where they are not known.
        known: `b`, 1 where flow and layer are exact.
    """

    frames: Tensor
    times: Tensor
    truth: Tensor
    t: Tensor
    flow: Tensor
    layer: Tensor
    known: Tensor


class Pairing(NamedTuple):
    """Anchors `step` + 1 frames apart, `n` of them (as `--x4k-steps` and `--x4k-n-frames` pair them)."""

    step: int
    n: int

    @property
    def spacing(self) -> int:
        return self.step + 1

    @property
    def span(self) -> int:
        """Frames from the first anchor to the last."""
        return (self.n - 1) * self.spacing

    def windows(self, length: int = x4k.LENGTH) -> int:
        """How many windows a clip of `length` frames holds."""
        return length - self.span

    @property
    def targets(self) -> tuple[int, ...]:
        """The frames strictly inside that are no anchors, counted from the first anchor."""
        return tuple(i for i in range(1, self.span) if i % self.spacing)

    def samples(self, length: int = x4k.LENGTH) -> int:
        """Windows times targets."""
        return self.windows(length) * len(self.targets)


def pairings(steps: Sequence[int], n_frames: Sequence[int], length: int = x4k.LENGTH) -> tuple[Pairing, ...]:
    """`--x4k-steps` and `--x4k-n-frames`, one with the other.

    Raises:
        TweenError: if there are not as many of both, one is too small, or a window is longer than a clip.
    """
    if len(steps) != len(n_frames) or not steps:
        raise TweenError(
            f"--x4k-steps and --x4k-n-frames go in pairs, but there are {len(steps)} and {len(n_frames)}; give as many"
        )
    found = tuple(Pairing(*pair) for pair in zip(steps, n_frames, strict=True))
    for p in found:
        if p.step < 1 or p.n < 2:
            raise TweenError(
                f"a window needs a step of 1 or more and 2 frames or more, but got {p.step} and {p.n}"
            )
        if p.span > length - 1:
            raise TweenError(
                f"{p.n} frames {p.spacing} apart span {p.span} frames, but a clip of {length} holds {length - 1}; "
                f"take a smaller step or fewer frames"
            )
    return found


class Cut(NamedTuple):
    """One window on the CPU: frames `n 3 h w` and truth `3 h w`, uint8, and where the truth lies."""

    frames: Tensor
    truth: Tensor
    t: float


def reversed_in_time(cut: Cut) -> Cut:
    """The window played backwards: the truth at t is then at 1 - t."""
    return Cut(cut.frames.flip(0), cut.truth, 1 - cut.t)


def augmented(cut: Cut, size: tuple[int, int], g: torch.Generator) -> Cut:
    """A crop of `size` (h, w) at any place, mirrored, turned, backwards and red for blue at random.

    Raises:
        TweenError: if the frames are smaller.
    """
    h, w = cut.truth.shape[-2:]
    if h < size[0] or w < size[1]:
        raise TweenError(
            f"a crop of {size[0]}x{size[1]} needs frames as large, but they have {h}x{w}; take smaller crops"
        )
    y, x = below(h - size[0] + 1, g), below(w - size[1] + 1, g)
    mirror, turn, back, swap = (bool(below(2, g)) for _ in range(4))
    flips = [-1] * mirror + [-2, -1] * turn

    def changed(picture: Tensor) -> Tensor:
        picture = picture[..., y : y + size[0], x : x + size[1]]
        for dim in flips:
            picture = picture.flip(dim)
        return picture.flip(-3) if swap else picture

    cut = Cut(changed(cut.frames), changed(cut.truth), cut.t)
    return reversed_in_time(cut) if back else cut


@dataclass(frozen=True)
class Cuts:
    """Windows on disk as a training set: `pictures(index, g)` gives known pictures, the true one, and its t."""

    count: int
    n: int
    pictures: Callable[[int, torch.Generator], tuple[list[Picture], Picture, float]]
    place: Callable[[int], str]

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Where sample `index` lies, for messages."""
        return self.place(index)

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Cut:
        """Sample `index`, cropped to `size` (h, w) and augmented.

        Raises:
            TweenError: if a picture cannot be read, or sizes differ.
        """
        known, truth, t = self.pictures(index, g)
        frames = stacked([*known, truth])
        return augmented(Cut(frames[:-1], frames[-1], t), size, g)


def x4k_windows(root: Path, pairing: Pairing) -> Cuts:
    """X-TRAIN: any window of a clip and any of its targets; one epoch draws one of each clip.

    Raises:
        TweenError: if there is no clip.
    """
    paths = x4k.train(root).paths
    return Cuts(len(paths), pairing.n, partial(_of_clip, paths, pairing), lambda i: str(paths[i]))


def _of_clip(
    paths: Sequence[Path], p: Pairing, index: int, g: torch.Generator
) -> tuple[list[Picture], Picture, float]:
    start, target = below(p.windows(), g), p.targets[below(len(p.targets), g)]
    numbers = [start + i * p.spacing for i in range(p.n)] + [start + target]
    *known, truth = x4k.pictures(paths[index], numbers)
    return known, truth, target / p.span


def vimeo_windows(root: Path) -> Cuts:
    """Vimeo-90K triplets: two frames and the middle one."""
    sequences, names = vimeo.listed(root, "tri_trainlist.txt")
    return Cuts(len(names), 2, partial(_of_triplet, sequences, names), lambda i: str(sequences / names[i]))


def _of_triplet(
    sequences: Path, names: Sequence[str], index: int, g: torch.Generator
) -> tuple[list[Picture], Picture, float]:
    first, truth, last = (sequences / names[index] / f"im{i}.png" for i in vimeo.FRAMES)
    return [first, last], truth, 0.5


def septuplet_windows(root: Path) -> Cuts:
    """Vimeo-90K septuplets: im1, im3, im5, im7 and one of the three between them."""
    sequences, names = vimeo.listed(root, "sep_trainlist.txt")
    return Cuts(len(names), 4, partial(_of_septuplet, sequences, names), lambda i: str(sequences / names[i]))


def _of_septuplet(
    sequences: Path, names: Sequence[str], index: int, g: torch.Generator
) -> tuple[list[Picture], Picture, float]:
    first, *_, last = vimeo_septuplet.FRAMES
    target = (2, 4, 6)[below(3, g)]
    place = sequences / names[index]
    return (
        [place / f"im{i}.png" for i in range(first, last + 1, 2)],
        place / f"im{target}.png",
        (target - first) / (last - first),
    )


Choose = Callable[[int], int]
"""Index of a batch -> which of the sets it is cut from: a batch shares N."""


def batches(
    sets: Sequence[Cuts],
    choose: Choose,
    *,
    size: tuple[int, int],
    batch_size: int,
    workers: int,
    seed: int,
    device: torch.device,
    stride: int = 1,
) -> Callable[[int], Window]:
    """Batches by index, for `engine.Run.batch`: a pure function, made ahead by `workers` processes.

    Args:
        stride: the number of processes that train together, each of which asks for every so many'th batch.
    """
    make = partial(_batch, sets, choose, size=size, batch_size=batch_size, seed=seed)
    return Prefetch(make, as_window, workers=workers, device=device, stride=stride)


def _batch(
    sets: Sequence[Cuts], choose: Choose, index: int, *, size: tuple[int, int], batch_size: int, seed: int
) -> tuple[Tensor, ...]:
    source = sets[choose(index)]
    cuts = []
    for place in range(index * batch_size, (index + 1) * batch_size):
        epoch, number = divmod(place, len(source))
        state = int(np.random.SeedSequence((seed, place)).generate_state(1)[0])
        cuts.append(
            source.draw(
                int(shuffled(len(source), seed, epoch)[number]), size, torch.Generator().manual_seed(state)
            )
        )
    frames, truth = (torch.stack(part) for part in zip(*(cut[:2] for cut in cuts), strict=True))
    return frames, truth, torch.tensor([cut.t for cut in cuts], dtype=torch.float32)


@lru_cache(4)
def shuffled(count: int, seed: int, epoch: int) -> np.ndarray:
    """The samples of an epoch, each once. Kept: samples of one batch are of one epoch, and so are those of the next."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def as_window(frames: Tensor, truth: Tensor, t: Tensor) -> Window:
    """Frames `b n 3 h w` and truth `b 3 h w`, uint8, at `t` `b`, as a batch of which no motion is known."""
    return unknown(frames.float() / 255, truth.float() / 255, t)


def unknown(frames: Tensor, truth: Tensor, t: Tensor) -> Window:
    """A batch of which only the pictures are known."""
    b, n, _, h, w = frames.shape
    return Window(
        frames=frames,
        times=torch.linspace(0, 1, n, device=t.device).expand(b, n),
        truth=truth,
        t=t,
        flow=frames.new_zeros(1).expand(b, n, n + 1, 2, h, w),
        layer=frames.new_zeros(1).expand(b, n, h, w),
        known=torch.zeros_like(t),
    )
