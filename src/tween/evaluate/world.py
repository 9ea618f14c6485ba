"""Does a world do as it is told, and does it know what comes next?

A *world* is a function: (frames seen so far `b before 3 h w` in [0, 1], keys `b f k`, mouse `b f 2`) -> the frames that
follow, `b after 3 h w`, with f = before + after; action i leads from frame i to frame i + 1. Without one the real
frames are judged: what the judge itself is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from tween.core import TweenError
from tween.data.episodes import DEGREES, Episodes, take, windows
from tween.models.interp.baselines import dis_flow
from tween.ops.warp import backward_warp

World = Callable[[Tensor, Tensor, Tensor], Tensor]
ORDERS = ("left", "right", "walk", "stand")
LEAST_TURN = 0.05  # of the mouse, half an arrow key
WALKED, STOOD = 12.0, 0.1  # units a frame; Doom's player walks 16.7 when nothing is in the way
THREADS = 8  # clips judged at a time
TALL = 1.2  # Doom's pixels are meant to be so much higher than wide, and the engine draws them square


def orders(episodes: Episodes, *, before: int, after: int) -> dict[str, np.ndarray]:
    """Windows of `before + after` frames whose last `after` follow from one order, which the real player obeyed.

    "left" and "right" turn without a key, "walk" is W alone and a free way, "stand" nothing, and no gliding on. The
    first of every run of overlapping windows, and then the next that does not overlap it.

    Returns:
        order -> places `m 2`, as `windows` has them.

    Raises:
        TweenError: if the episodes hold none of some order.
    """
    asked, length = _asked(episodes), before + after
    walked = np.zeros(episodes.cuts.shape)
    walked[:, :-1] = np.hypot(*np.moveaxis(np.diff(episodes.pose[..., :2], axis=1), -1, 0))
    places = windows(episodes, length)
    steps = places[:, 1, None] + np.arange(before - 1, length - 1)
    told, way = asked[places[:, :1], steps], walked[places[:, :1], steps]
    mean, found = way.mean(1), {}
    for number, order in enumerate(ORDERS):
        obeyed = {"walk": mean >= WALKED, "stand": way.max(1) <= STOOD}.get(order, np.full(len(mean), True))
        found[order] = _apart(places[(told == number).all(1) & obeyed], length)
        if not len(found[order]):
            raise TweenError(
                f"{len(episodes)} episodes should hold {after} frames of {order!r} in a row, but do not; "
                f"record more of kind held"
            )
    return found


def _asked(episodes: Episodes) -> np.ndarray:
    """`n f`: which of `ORDERS` each action is; -1 for none of them."""
    keys, (up, right) = episodes.keys, np.moveaxis(episodes.mouse, -1, 0)
    idle, level = ~keys.any(-1), up == 0
    forward = (keys == np.array((1, 0, 0, 0))).all(-1)
    asked = np.full(right.shape, -1)
    asked[idle & level & (right <= -LEAST_TURN)] = 0
    asked[idle & level & (right >= LEAST_TURN)] = 1
    asked[forward & level & (right == 0)] = 2
    asked[idle & level & (right == 0)] = 3
    return asked


def _apart(places: np.ndarray, length: int) -> np.ndarray:
    kept: list[np.ndarray] = []
    for place in places:
        if not kept or place[0] != kept[-1][0] or place[1] >= kept[-1][1] + length:
            kept.append(place)
    return np.array(kept, np.int64).reshape(-1, 2)


def spread(places: np.ndarray, count: int) -> np.ndarray:
    """`count` of the places, evenly taken; all of them if there are fewer."""
    return places[np.linspace(0, len(places) - 1, min(count, len(places))).astype(int)]


def measure(frames: Tensor) -> Tensor:
    """What moved in each clip: `b 2` of frames `b f 3 h w`.

    First the median of the horizontal DIS flow, in pixels a frame: negative where the view turns right. Then the
    divergence of the linear field that fits the flow best about the middle of the picture, a frame, the median over
    the clip: positive where one walks on.
    """
    with ThreadPoolExecutor(THREADS) as pool:  # OpenCV waits for nobody
        return torch.stack(list(pool.map(_moved, frames)))


def _moved(clip: Tensor) -> Tensor:
    flow = dis_flow(clip[:-1], clip[1:])[0].cpu()
    h, w = flow.shape[-2:]
    y, x = torch.meshgrid(torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2, indexing="ij")
    divergence = 2 * (flow * torch.stack((x, y))).sum((1, 2, 3)) / (x**2 + y**2).sum()
    return torch.stack((flow[:, 0].median(), divergence.median()))


def measured(
    world: World | None, episodes: Episodes, places: np.ndarray, *, before: int, after: int, batch: int = 8
) -> Tensor:
    """`measure` of what the world makes of each place from its last seen frame on: `m 2`."""
    return torch.cat(
        [
            measure(torch.cat((seen[:, -1:], made), 1))
            for seen, _, _, made in _made(world, episodes, places, before, after, batch)
        ]
    )


def _made(
    world: World | None, episodes: Episodes, places: np.ndarray, before: int, after: int, batch: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """(seen, truth, mouse, made) of a few places at a time, on the CPU."""
    for begin in range(0, len(places), batch):
        window = take(episodes, places[begin : begin + batch], before + after)
        frames = window.frames.movedim(-1, 2).float() / 255
        seen, truth = frames[:, :before], frames[:, before:]
        made = truth if world is None else world(seen, window.keys, window.mouse).float().cpu().clamp(0, 1)
        if made.shape != truth.shape:
            raise TweenError(
                f"the world should give frames {tuple(truth.shape)}, but gave {tuple(made.shape)}; "
                f"ask for as many as there are actions beyond what it has seen"
            )
        yield seen, truth, window.mouse, made


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From where on something counts as turning (pixels a frame) and as walking (divergence a frame)."""

    turn: float
    walk: float


def calibrate(real: Mapping[str, Tensor]) -> Thresholds:
    """The thresholds that tell the orders apart best: order -> `measured` of real frames."""
    turns = torch.cat((real["left"], real["right"]))[:, 0].abs()
    others = torch.cat((real["walk"], real["stand"]))[:, 0].abs()
    return Thresholds(turn=_border(others, turns), walk=_border(real["stand"][:, 1], real["walk"][:, 1]))


def _border(low: Tensor, high: Tensor) -> float:
    """The value with the fewest of `low` at or above it and of `high` below; the middle of the widest such gap."""
    values = torch.cat((low, high)).double().sort().values
    middles = (values[1:] + values[:-1]) / 2
    wrong = torch.stack([(low >= m).sum() + (high < m).sum() for m in middles])
    gap = torch.where(wrong == wrong.min(), values[1:] - values[:-1], -1.0)
    return float(middles[gap.argmax()])


def recognise(measures: Tensor, thresholds: Thresholds) -> Tensor:
    """`b` int64, which of `ORDERS` each row of `b 2` measures looks like."""
    turn, walk = measures.unbind(1)
    turning = torch.where(turn > 0, ORDERS.index("left"), ORDERS.index("right"))
    going = torch.where(walk >= thresholds.walk, ORDERS.index("walk"), ORDERS.index("stand"))
    return torch.where(turn.abs() >= thresholds.turn, turning, going)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How often a world was seen to do as it was told.

    Attributes:
        table: `4 4` int64, how often the order of a row looked like that of a column; as `ORDERS`.
    """

    table: Tensor

    @property
    def right(self) -> float:
        """Share of all rollouts, in [0, 1]."""
        return float(self.table.trace() / self.table.sum())

    def __str__(self) -> str:
        rows = [
            f"{order:6} {' '.join(f'{int(n):6}' for n in row)}"
            for order, row in zip(ORDERS, self.table, strict=True)
        ]
        head = f"{'told':6} {' '.join(f'{order:>6}' for order in ORDERS)}"
        return "\n".join((f"{100 * self.right:.1f} % of {int(self.table.sum())} rollouts obey", head, *rows))


def obeys(measures: Mapping[str, Tensor], thresholds: Thresholds) -> Verdict:
    """Judge what a world made: order -> `measured`."""
    seen = [recognise(measures[order], thresholds) for order in ORDERS]
    return Verdict(table=torch.stack([torch.bincount(s, minlength=len(ORDERS)) for s in seen]))


def turned(last: Tensor, mouse: Tensor) -> Tensor:
    """The last frame, turned as the actions say and nothing else: what a world must know more than.

    Args:
        last: `b 3 h w`, 90 degrees wide.
        mouse: `b f 2`, the action of `last` first.

    Returns:
        `b f 3 h w`; beyond its border the frame's edge is repeated.
    """
    h, w = last.shape[-2:]
    focal = w / 2
    y, x = torch.meshgrid(torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2, indexing="ij")
    up, right = torch.deg2rad(DEGREES * mouse.float().cumsum(1))[..., None, None].clamp(-1.4, 1.4).unbind(2)
    depth = (focal * right.cos() - x * right.sin()).clamp(min=1)  # of the ray, in the last frame's camera
    from_x = focal * (x * right.cos() + focal * right.sin()) / depth
    from_y = (y - TALL * focal * up.tan()) * focal / depth
    flow = torch.stack((from_x - x, from_y - y), 2)
    return torch.stack([backward_warp(last, flow[:, i].to(last)) for i in range(flow.shape[1])], 1)


def foresight(
    world: World, episodes: Episodes, places: np.ndarray, *, before: int, after: int, batch: int = 8
) -> dict[str, Tensor]:
    """How close the frames after each place come to the real ones, under the real actions.

    Returns:
        Mean squared error over the `after` frames of each place, `m`: of the `world`, of the last frame `repeated`,
        and of it `turned`. `decibels` makes PSNR of it.
    """
    errors: dict[str, list[Tensor]] = {"world": [], "repeated": [], "turned": []}
    for seen, truth, mouse, made in _made(world, episodes, places, before, after, batch):
        last = seen[:, -1]
        guesses = (made, last[:, None].expand_as(truth), turned(last, mouse[:, before - 1 : -1]))
        for name, guess in zip(errors, guesses, strict=True):
            errors[name].append(((guess.double() - truth) ** 2).flatten(1).mean(1))
    return {name: torch.cat(parts) for name, parts in errors.items()}


def decibels(errors: Tensor) -> float:
    """PSNR of the mean of squared errors. Not the mean of PSNRs: where nothing moves a repeated frame has no bound."""
    return float(-10 * errors.mean().clamp(min=1e-10).log10())


def contact_sheet(path: Path, rows: Mapping[str, Tensor], *, count: int = 9) -> None:
    """Draw `count` frames of each clip (`f 3 h w`), evenly taken, into `path`, a row each with its name above.

    Raises:
        TweenError: if the file cannot be written.
    """
    line = 14
    strips = []
    for clip in rows.values():
        chosen = clip[torch.linspace(0, len(clip) - 1, count).round().long()]
        strips.append(
            (torch.cat(tuple(chosen), -1).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        )
    height, width = strips[0].shape[:2]
    sheet = Image.new("RGB", (width, (height + line) * len(strips)))
    draw = ImageDraw.Draw(sheet)
    for i, (name, strip) in enumerate(zip(rows, strips, strict=True)):
        draw.text((2, i * (height + line) + 1), name, fill="white")
        sheet.paste(Image.fromarray(strip), (0, i * (height + line) + line))
    try:
        sheet.save(path)
    except (OSError, ValueError) as error:
        raise TweenError(
            f"{path} should become a picture, but cannot be written ({error}); name a .png"
        ) from error
