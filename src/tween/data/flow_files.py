"""Triplets to train on with flow from files beside them: what FlowFormer++, or any other teacher, said beforehand.

`SCENE/im1, im2, im3` of any picture type, and `SCENE/flow_t0.flo`, `SCENE/flow_t1.flo`: flow from im2 into im1 and into
im3. The frames of Vimeo90K's `sequences` lie like that. Scenes without flow files are trained on without flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError
from tween.data.augment import augment, crop
from tween.data.pictures import stacked
from tween.data.source import Sample
from tween.data.triplets import folders, picture

MAGIC = np.float32(202021.25)
FILES = ("flow_t0.flo", "flow_t1.flo")


@dataclass(frozen=True)
class Scenes:
    """Scenes as a `Source`, the middle frame at t = 1/2."""

    places: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.places)

    def name(self, index: int) -> str:
        """As `Source.name`."""
        return str(self.places[index])

    def draw(self, index: int, size: tuple[int, int], g: torch.Generator) -> Sample:
        """As `Source.draw`."""
        place = self.places[index]
        frames = stacked(picture(place, f"im{i}") for i in (1, 2, 3))
        return augment(crop(Sample(frames, 0.5, flows(place, tuple(frames.shape[-2:]))), size, g), g)

    def taught(self) -> int:
        """How many scenes have flow files."""
        return sum(all((place / name).is_file() for name in FILES) for place in self.places)


def train(root: Path) -> Scenes:
    """Every scene below `root`.

    Raises:
        TweenError: if there is none.
    """
    return Scenes(tuple(folders(root)))


def flows(place: Path, size: tuple[int, int]) -> Tensor | None:
    """flow_t0 and flow_t1 of a scene, `4 h w` px; None where neither file is there.

    Raises:
        TweenError: if one is missing, or of another size than the frames.
    """
    there = [(place / name).is_file() for name in FILES]
    if not any(there):
        return None
    if not all(there):
        raise TweenError(f"{place} should hold both {' and '.join(FILES)} or neither, but one is missing")
    found = [read_flo(place / name) for name in FILES]
    for h, w in (flow.shape[-2:] for flow in found):
        if (h, w) != size:
            raise TweenError(
                f"the flow of {place} should be {size[1]}x{size[0]} as its frames, but is {w}x{h}"
            )
    return torch.cat(found)


def read_flo(path: Path) -> Tensor:
    """Flow `2 h w` px of a .flo file (Baker et al., IJCV 2011): a magic number, w, h, then dx, dy pixel by pixel.

    Raises:
        TweenError: if it is not one, or cut short.
    """
    data = path.read_bytes()
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != MAGIC:
        raise TweenError(f"{path} should be a .flo file, but does not begin like one; write it again")
    w, h = map(int, np.frombuffer(data, "<i4", 2, 4))
    if w < 1 or h < 1 or len(data) != 12 + 8 * w * h:
        raise TweenError(f"{path} should hold {w}x{h} vectors, but has {len(data)} bytes; write it again")
    values = np.frombuffer(data, "<f4", offset=12).reshape(h, w, 2)
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)


def write_flo(path: Path, flow: Tensor) -> None:
    """Flow `2 h w` px as a .flo file."""
    _, h, w = flow.shape
    values = flow.detach().cpu().permute(1, 2, 0).contiguous().numpy().astype("<f4")
    path.write_bytes(MAGIC.astype("<f4").tobytes() + np.array([w, h], "<i4").tobytes() + values.tobytes())
