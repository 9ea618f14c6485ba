"""What more frames are worth: one true frame in the inner gap of four, filled from two, three or all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tween.core import Filler, TweenError
from tween.data.clips import Windows
from tween.data.store import FrameStore, sample
from tween.data.windows_made import layer_windows
from tween.infer.tile import Tiled
from tween.metrics import psnr
from tween.ops.warp import pixel_grid

TIMES = tuple(Fraction(i) for i in range(-1, 3))


class Scene(NamedTuple):
    """Four frames `4 3 h w` in [0, 1] one gap apart and the true one at `t` in the inner gap, 0 to 1."""

    name: str
    frames: Tensor
    truth: Tensor
    t: Fraction


def window_psnr(
    fillers: Mapping[str, Filler[Any]], scenes: Iterable[Scene], *, device: torch.device | str = "cpu"
) -> dict[str, dict[str, float]]:
    """PSNR in dB, unrounded, by filler and scene: every filler sees the frames it wants of the same four.

    Raises:
        TweenError: if one wants more than two before or after.
    """
    for name, filler in fillers.items():
        if filler.past > 2 or filler.future > 2:
            raise TweenError(
                f"windows hold two frames on each side, but {name} wants {filler.past}+{filler.future}"
            )
    found: dict[str, dict[str, float]] = {name: {} for name in fillers}
    for scene in scenes:
        for name, filler in fillers.items():
            made = filled(filler, scene, device)
            found[name][scene.name] = psnr(made, scene.truth[None].to(device)).item()
    return found


@torch.inference_mode()
def filled(filler: Filler[Any], scene: Scene, device: torch.device | str) -> Tensor:
    """The frame at `scene.t`, `1 3 h w` in [0, 1]."""
    near = slice(2 - filler.past, 2 + filler.future)
    known, whole = scene.frames[None, near].to(device), Tiled(filler)
    state = whole.begin(known[:, 0].shape, seed=0, device=device, dtype=known.dtype)
    return whole.fill(state, known, TIMES[near], (scene.t,))[0][:, 0].float().clamp(0, 1)


def clip_scenes(store: FrameStore, windows: Windows, *, most: int = 12, each: int = 1) -> Iterator[Scene]:
    """`each` of every shot, spread evenly, as many as start at different frames: frames as far apart as its motion and
    length allow, at most `most`; the true one is nearest to the middle of the inner gap. Shots of fewer than seven
    frames have none."""
    for i, (first, count, reach) in enumerate(
        zip(windows.first.tolist(), windows.count.tolist(), windows.reach.tolist(), strict=True)
    ):
        gap = min(reach, (count - 1) // 3, most)
        if gap < 2:
            continue
        spare = count - 1 - 3 * gap
        for offset in sorted({spare * (2 * k + 1) // (2 * each) for k in range(each)}):
            start = first + offset
            index = [start + k * gap for k in range(4)] + [start + gap + gap // 2]
            frames = whole_frames(store, index)
            yield Scene(f"shot {i} frame {offset}", frames[:-1], frames[-1], Fraction(gap // 2, gap))


def whole_frames(store: FrameStore, index: list[int]) -> Tensor:
    """Frames `n 3 h w` of one size as they are held."""
    frame = torch.tensor(index, device=store.pixels.device)
    h, w = store.size[0, frame[0]].tolist()
    position = pixel_grid(h, w, frame.device).permute(0, 2, 3, 1).expand(len(index), -1, -1, -1)
    return sample(store, frame, position, torch.ones(len(index), device=frame.device))


def curved_scenes(
    store: FrameStore, count: int, size: tuple[int, int] = (256, 384), *, seed: int = 0
) -> Iterator[Scene]:
    """Layers that move on curves, faster and slower, cut from the pictures of `store`; exact truth at t = 1/2."""
    for i in range(count):
        g = torch.Generator(store.pixels.device).manual_seed(1_000 * seed + i)
        made = layer_windows(store, 4, 1, size, g, t=torch.full((1,), 0.5, device=store.pixels.device))
        yield Scene(f"curve {i}", made.frames[0], made.truth[0], Fraction(1, 2))
