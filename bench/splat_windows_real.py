"""Whether more frames help where real motion bends: windows of every shot that training never read, and how curved the
motion in each is.

python -m bench.splat_windows_real --data DIR --unseen CLIPS FILM [--hold-out 12] [--each 3] [--packed DIR]

What is measured and how was written down here before any result was seen.

- Shots: every 12th one of DIR, which training held out, and all of the folders after --unseen, none of whose files it
  read. Frames are shrunk to 256 lines at most.
- Windows: at 3 places spread evenly over a shot, four frames one gap apart and the true one in the middle of the inner
  gap. The gap is the first of 2, 4, ..., 12 frames over which things move by 12.6 px, else the longest that fits; where
  they move by less than 4 px or more than 40 there is no window. Motion is what nine of ten pixels move by at most, of
  those that DIS can follow there and back.
- A window is left out if a frame in it repeats the one before (it differs by less than a fifth of what is usual there),
  if its frames are not evenly spaced in time, or if fewer than half of the pixels can be followed (fades, say).
- Curvature: `tween.evaluate.curvature.bend` of the inner gap. The curved half of a set is its windows above the median.
- Sets: "recorded" are the held-out shots and the first folder; "film" is the second; "all" both. Means are over shots,
  windows of a shot averaged first; so are the paired differences, +- Student's 95 % interval.
- Added when the results were known: how much of the bend a parabola through the four frames foresees
  (`tween.evaluate.curvature.foreseen`), and the half of "all" in which that is most.
- The question is answered with yes if four frames are better than two, than DIS and than fast with confidence in the
  curved half, of "all" and of "recorded". Everything else describes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.common import save
from bench.splat_windows import Table, differences, rows
from tween.data.clips import Shot
from tween.data.videos import shots
from tween.evaluate.curvature import Bend, bend, foreseen, motion
from tween.evaluate.models import ready
from tween.evaluate.splat import BESIDE, beside
from tween.evaluate.windows import Scene, window_psnr
from tween.video.bulk import pack
from tween.video.pick import stamps

LINES, GAPS = 256, range(2, 13, 2)
LEAST, WANTED, MOST = 4.0, 12.6, 40.0  # px from one frame of the inner gap to the other
REPEATED, UNEVEN, FOLLOWED = 0.2, 0.15, 0.5


class Place(NamedTuple):
    """A window: its first frame, counted in the file, and frames from one to the next."""

    start: int
    gap: int


def main(argv: list[str] | None = None) -> None:
    """Measure and write results/splat_windows_real.json."""
    options = parse(argv)
    fillers = beside(ready("splat", device="cpu", precision="fp32"), BESIDE, "cpu")
    windows: dict[str, dict[str, Any]] = {}
    for kind, each, bent in scenes(options):
        scores = {method: values[each.name] for method, values in window_psnr(fillers, [each]).items()}
        windows[each.name] = {
            "kind": kind,
            **bent._asdict(),
            "foreseen": foreseen(each.frames, each.truth),
            "psnr": scores,
        }
        print(each.name, windows[each.name], flush=True)
    tables = sets(windows)
    print(save("splat_windows_real", rows(tables), differences=differences(tables), windows=windows))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="what was trained on, with shots.csv")
    parser.add_argument("--unseen", type=Path, nargs=2, required=True, metavar=("CLIPS", "FILM"))
    parser.add_argument("--packed", type=Path, help="where decoded clips are kept; else CLIPS/packed")
    parser.add_argument("--hold-out", type=int, default=12, help="every so many'th shot, as in training")
    parser.add_argument("--each", type=int, default=3, help="windows of a shot at most")
    return parser.parse_args(argv)


def sources(options: argparse.Namespace) -> Iterator[tuple[str, Path, Sequence[Shot]]]:
    """Every set, a folder of it, and the shots in there that training never read."""
    clips, film = options.unseen
    yield "recorded", options.data, shots(options.data)[options.hold_out - 1 :: options.hold_out]
    yield "recorded", clips, shots(clips)
    yield "film", film, shots(film)


def scenes(options: argparse.Namespace) -> Iterator[tuple[str, Scene, Bend]]:
    """Every window: the set it is of, its frames, and how what is in its inner gap moves."""
    packed = options.packed or options.unseen[0] / "packed"
    for kind, root, shot in ((kind, root, shot) for kind, root, those in sources(options) for shot in those):
        (array,) = pack([root / shot.file], packed, LINES, 1)
        clip, times = np.load(array, mmap_mode="r"), stamps(root / shot.file)
        for each in (cut(clip, shot, place) for place in places(clip, times, shot, options.each)):
            bent = bend(each.frames[1], each.truth, each.frames[2])
            if bent.seen >= FOLLOWED:
                yield kind, each, bent


def places(clip: np.ndarray, times: Sequence[int], shot: Shot, each: int) -> Iterator[Place]:
    """Windows of a shot of `clip` (`n h w 3` uint8, at `times`), by the rule above; none twice."""
    end, before = min(shot.start + shot.count, len(clip)), set()
    for k in range(each):
        middle = shot.start + (end - shot.start) * (2 * k + 1) / (2 * each)
        place, moved = widened(clip, middle, shot.start, end)
        if LEAST <= moved <= MOST and place not in before and steady(clip, times, place):
            before.add(place)
            yield place


def widened(clip: np.ndarray, middle: float, begin: int, end: int) -> tuple[Place, float]:
    """The narrowest window about frame `middle`, from `begin` to before `end`, in which things move far enough, else
    the widest; and how far they move."""
    place, moved = Place(begin, 0), 0.0
    for gap in GAPS:
        if moved >= WANTED or 3 * gap >= end - begin:
            break
        place = Place(min(max(int(middle - 1.5 * gap), begin), end - 1 - 3 * gap), gap)
        moved = motion(*pictures(clip, [place.start + gap, place.start + 2 * gap]))
    return place, moved


def steady(clip: np.ndarray, times: Sequence[int], place: Place) -> bool:
    """Whether no frame of the window repeats another and all are equally far apart."""
    run = slice(place.start, place.start + 3 * place.gap + 1)
    change = np.abs(np.diff(clip[run].astype(np.int16), axis=0)).mean((1, 2, 3))
    apart = np.diff(np.asarray(times[run], np.float64))
    even = len(apart) == 3 * place.gap and (np.abs(apart / np.median(apart) - 1) < UNEVEN).all()
    return bool(even and (change > REPEATED * np.median(change)).all())


def cut(clip: np.ndarray, shot: Shot, place: Place) -> Scene:
    """The window at `place`; its truth is halfway."""
    index = [place.start + k * place.gap for k in range(4)] + [place.start + 3 * place.gap // 2]
    frames = pictures(clip, index)
    name = f"{Path(shot.file).stem} at {shot.start} frame {place.start - shot.start} gap {place.gap}"
    return Scene(name, frames[:-1], frames[-1], Fraction(1, 2))


def pictures(clip: np.ndarray, index: Sequence[int]) -> Tensor:
    """Those frames, `n 3 h w` in [0, 1]."""
    return torch.from_numpy(clip[list(index)]).permute(0, 3, 1, 2).float() / 255


def sets(windows: Mapping[str, Mapping[str, Any]]) -> dict[str, Table]:
    """All windows, those recorded and those of the film; of each the half whose motion is the most curved, and of all
    the half whose bend four frames foresee the most of."""
    out = {}
    for kind in ("all", "recorded", "film"):
        own = {name: w for name, w in windows.items() if kind in ("all", w["kind"])}
        chosen = {kind: list(own), f"{kind}, curved half": upper(own, "curvature")}
        chosen |= {"all, foreseen half": upper(own, "foreseen")} if kind == "all" else {}
        out |= {
            label: turned({n: windows[n]["psnr"] for n in names}) for label, names in chosen.items() if names
        }
    return out


def upper(windows: Mapping[str, Mapping[str, Any]], key: str) -> list[str]:
    """Names of those above the median."""
    middle = median(w[key] for w in windows.values()) if windows else 0.0
    return [name for name, w in windows.items() if w[key] > middle]


def turned(scores: Mapping[str, Mapping[str, float]]) -> Table:
    """PSNR by method and window from PSNR by window and method."""
    methods = dict.fromkeys(method for values in scores.values() for method in values)
    return {method: {name: values[method] for name, values in scores.items()} for method in methods}


if __name__ == "__main__":
    main()
