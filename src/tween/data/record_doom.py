"""Episodes of Doom: ViZDoom with the free game data of its wheel (Freedoom, BSD), without a display or a network.

A frame is two of Doom's 35 tics a second. The player wanders a map alone and unhurt, beginning where the map has a
start for one to four players or a deathmatch. The picture is rendered at twice the size and shrunk by area; there is no
weapon, no text, no bobbing and no tint in it. Keys walk and step aside, the mouse turns and looks up and down (20
degrees at most; Doom shifts the picture for that). Nothing is opened or shot.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import hypot, isfinite
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from tween.core import TweenError
from tween.data import wad
from tween.data.episodes import DEGREES, Episodes, write
from tween.data.wander import KINDS, Hold, following
from tween.video.bulk import shrink

TICS = 2
RATE = Fraction(35, TICS)  # frames per second
LIMIT = 20.0  # degrees that one can look up and down
SETTLE = 12  # tics before the first frame: a new player cannot turn for 8
NEAR = 7.6  # map units to a step of the depth buffer, measured by walking to a wall
LEAP = 100.0  # map units a frame; who walks makes 17, so this is a teleport
PER_TASK = 8  # episodes that a process records before it hands them over
STUCK = 4  # frames of walking in which a free player makes 30 units, and a blocked one fewer than 4
OFF = [
    "hud",
    "crosshair",
    "weapon",
    "decals",
    "particles",
    "effects_sprites",
    "messages",
    "corpses",
    "screen_flashes",
]


TINTS = ("InvulnerabilitySphere", "Infrared", "RadSuit", "Berserk")
"""What paints the whole picture in other colours for half a minute once it is walked over."""


@dataclass(frozen=True, kw_only=True)
class Doom:
    """What is recorded.

    Attributes:
        seconds: of an episode.
        size: (width, height) of a frame, 4:3; twice that must be a size that ViZDoom renders.
        seed: with an episode's number decides everything in it.
        kinds: of `tween.data.wander.KINDS`; episodes take turns.
        maps: of Freedoom Phase 2, MAP01 to MAP32; none: all of them.
    """

    seconds: float = 60.0
    size: tuple[int, int] = (128, 96)
    seed: int = 0
    kinds: tuple[str, ...] = tuple(KINDS)
    maps: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Frames of an episode."""
        return round(self.seconds * RATE)


def record(folder: Path, config: Doom, *, episodes: int, workers: int = 1, per_shard: int = 16) -> int:
    """Write `episodes` episodes as shards into a new `folder`, which appears when it is whole.

    Args:
        workers: games played at a time.
        per_shard: episodes in a shard.

    Returns:
        How many frames there are.

    Raises:
        TweenError: for what cannot be recorded, or if the folder is there already.
    """
    with _games(config, min(workers, episodes)) as games:
        spans = [range(i, min(i + per_shard, episodes)) for i in range(0, episodes, per_shard)]
        shards = (_played(games, config, span) for span in spans)
        return config.frames * write(folder, shards, workers=workers)


def record_arrays(config: Doom, *, episodes: int, workers: int = 1, first: int = 0) -> Episodes:
    """`episodes` episodes, beginning with number `first`, in memory: `3 * width * height` bytes a frame."""
    with _games(config, min(workers, episodes)) as games:
        return _played(games, config, range(first, first + episodes))


def record_in_bulk(config: Doom, *, episodes: int, processes: int, first: int = 0) -> Episodes:
    """As `record_arrays`, with a game in each of `processes` processes: in one, threads share the interpreter, which
    holds them to about 5,000 frames a second."""
    if processes == 1:
        return record_arrays(config, episodes=episodes, first=first)
    each = max(1, min(PER_TASK, -(-episodes // processes)))
    end = first + episodes
    spans = [range(i, min(i + each, end)) for i in range(first, end, each)]
    reel, about = _blank(episodes, config), []
    with ProcessPoolExecutor(min(processes, len(spans)), get_context("spawn")) as pool:
        for part in pool.map(partial(_span, config), spans):
            for name, array in vars(reel).items():
                array[len(about) : len(about) + len(part)] = getattr(part, name)
            about += part.about
    return Episodes(**vars(reel), about=tuple(about))


def _span(config: Doom, numbers: range) -> Episodes:
    return record_arrays(config, episodes=len(numbers), first=numbers.start)


def _blank(n: int, config: Doom) -> Reel:
    """Room for `n` episodes."""
    f, (width, height) = config.frames, config.size
    return Reel(
        frames=np.empty((n, f, height, width, 3), np.uint8),
        keys=np.empty((n, f, 4), np.uint8),
        mouse=np.empty((n, f, 2), np.float32),
        pose=np.empty((n, f, 5), np.float32),
        cuts=np.empty((n, f), bool),
    )


def _played(games: SimpleQueue, config: Doom, numbers: range) -> Episodes:
    """Threads are enough: a game is a process of its own, and its turn is waited for outside the interpreter."""
    reel = _blank(len(numbers), config)

    def one(i: int) -> dict[str, Any]:
        game = games.get()
        try:
            return play(game, config, numbers[i], Reel(*(array[i] for array in vars(reel).values())))
        finally:
            games.put(game)

    with ThreadPoolExecutor(games.qsize()) as pool:
        about = tuple(pool.map(one, range(len(numbers))))
    return Episodes(**vars(reel), about=about)


@dataclass(frozen=True)
class Reel:
    """The arrays of one episode, or of some, to be written into; as those of `Episodes`."""

    frames: np.ndarray
    keys: np.ndarray
    mouse: np.ndarray
    pose: np.ndarray
    cuts: np.ndarray


def play(game: Any, config: Doom, number: int, reel: Reel) -> dict[str, Any]:
    """Play episode `number` into `reel`; returns what there is to tell of it. A function of config and number."""
    rng = np.random.default_rng((config.seed, number))
    name, kind = str(rng.choice(_maps(config))), config.kinds[number % len(config.kinds)]
    game.set_doom_map(name)
    game.set_seed(int(rng.integers(2**31)))
    room = wad.starts(_wad(), name)
    hold, lives, x, y = Hold(), 0, 0.0, 0.0
    for i in range(len(reel.frames)):
        if born := not i or game.is_episode_finished():
            _enter(game, room, rng)
            lives += 1
        state = game.get_state()
        now_x, now_y, z, yaw, down = state.game_variables.tolist()
        cut, x, y = born or hypot(now_x - x, now_y - y) > LEAP, now_x, now_y
        reel.frames[i] = shrink(state.screen_buffer, config.size[1])
        reel.pose[i], reel.cuts[i] = (x, y, z, yaw, -down), cut
        hold = following(hold, kind, view=_view(state.depth_buffer), blocked=_blocked(reel, i), rng=rng)
        mouse = hold.mouse(-down)
        reel.keys[i], reel.mouse[i] = hold.keys, mouse
        game.make_action(_buttons(hold.keys, mouse, -down), TICS)
    about = {"world": "doom", "map": name, "kind": kind, "seed": config.seed, "number": number}
    return about | {"lives": lives, "rate": str(RATE), "size": config.size, "degrees": DEGREES}


def _enter(game: Any, room: np.ndarray, rng: np.random.Generator) -> None:
    """A new life at a random place with room, facing anywhere."""
    game.new_episode()
    x, y = room[rng.integers(len(room))]
    for item in TINTS:
        game.send_game_command(f"remove {item}")
    game.send_game_command("god")
    game.send_game_command(f"warp {x} {y}")
    game.make_action([0] * 6, SETTLE)
    game.make_action([0, 0, 0, 0, float(rng.uniform(-180, 180)), 0], 1)
    game.make_action([0] * 6, 1)


def _blocked(reel: Reel, i: int) -> bool:
    """Whether the keys have been pressed for some frames and led nowhere."""
    begin = max(i - STUCK, 0)
    if i < STUCK or not reel.keys[begin:i].any(1).all() or reel.cuts[begin + 1 : i + 1].any():
        return False
    return hypot(*(reel.pose[i, :2] - reel.pose[begin, :2]).tolist()) < STUCK


def _view(depth: np.ndarray) -> tuple[float, float, float]:
    """Map units to what is level with the eyes: left, ahead, right."""
    line = depth[depth.shape[0] // 2]
    left, *ahead, right = line[
        line.shape[0] // 8 :: line.shape[0] // 4
    ].tolist()  # of each quarter, the middle
    return NEAR * left, NEAR * min(ahead), NEAR * right


def _buttons(keys: tuple[int, ...], mouse: tuple[float, float], pitch: float) -> list[float]:
    """As the engine takes them; it turns by as much in every tic."""
    up = min(max(pitch + DEGREES * mouse[0], -LIMIT), LIMIT) - pitch
    return [*map(float, keys), DEGREES * mouse[1] / TICS, up / TICS]


@contextmanager
def _games(config: Doom, count: int) -> Iterator[SimpleQueue]:
    """`count` running engines, of which a thread takes one and puts it back."""
    vizdoom = _vizdoom()
    _check(config, count, vizdoom)
    started: list[Any] = []
    folder = Path(tempfile.mkdtemp(prefix="tween-doom-"))
    try:
        for number in range(count):
            started.append(_start(vizdoom, config, folder / f"{number}.ini"))
        games: SimpleQueue = SimpleQueue()
        for game in started:
            games.put(game)
        yield games
    finally:
        for game in started:
            game.close()
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # the engine makes this folder wherever it is started, and leaves it empty
            Path("_vizdoom").rmdir()


def _start(vizdoom: Any, config: Doom, ini: Path) -> Any:
    game, button, variable = vizdoom.DoomGame(), vizdoom.Button, vizdoom.GameVariable
    game.set_doom_config_path(str(ini))
    game.set_doom_game_path(str(_wad()))
    game.set_doom_map(_maps(config)[0])
    game.set_screen_resolution(_resolution(vizdoom, config.size))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_depth_buffer_enabled(True)
    for name in OFF:
        getattr(game, f"set_render_{name}")(False)
    moves = [button.MOVE_FORWARD, button.MOVE_BACKWARD, button.MOVE_LEFT, button.MOVE_RIGHT]
    game.set_available_buttons([*moves, button.TURN_LEFT_RIGHT_DELTA, button.LOOK_UP_DOWN_DELTA])
    place = [variable.POSITION_X, variable.POSITION_Y, variable.POSITION_Z]
    game.set_available_game_variables([*place, variable.ANGLE, variable.PITCH])
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_episode_timeout(0)
    game.add_game_args("-nomonsters +movebob 0 +con_midtime 0 +cl_showsecretmessage 0")
    try:
        with _untrimmed():
            game.init()
    except Exception as error:  # of several types, which differ between versions
        raise TweenError(f"ViZDoom should start, but did not ({error}); reinstall it with pip") from error
    return game


@contextmanager
def _untrimmed() -> Iterator[None]:
    """Processes started within give no memory back. Having changed maps, ViZDoom 1.3.2 reads freed memory as it exits,
    and where that is gone it crashes: late enough to do no harm, but with a log and a lot of text."""
    before = os.environ.get("MALLOC_TRIM_THRESHOLD_")
    os.environ["MALLOC_TRIM_THRESHOLD_"] = str(2**60)
    try:
        yield
    finally:
        os.environ.pop("MALLOC_TRIM_THRESHOLD_")
        if before is not None:
            os.environ["MALLOC_TRIM_THRESHOLD_"] = before


def _check(config: Doom, count: int, vizdoom: Any) -> None:
    """Say in a sentence what of it cannot be recorded."""
    if count < 1:
        raise TweenError("at least 1 episode and 1 worker are needed, but one of them is 0; ask for more")
    if not isfinite(config.seconds) or config.frames < 2:
        raise TweenError(
            f"an episode should have 2 frames or more at {float(RATE)} a second, but {config.seconds} s "
            f"have not; ask for other seconds"
        )
    _resolution(vizdoom, config.size)
    for what, asked, there in (("map", config.maps, wad.maps(_wad())), ("kind", config.kinds, tuple(KINDS))):
        if unknown := [name for name in asked if name not in there]:
            raise TweenError(f"there is no {what} {unknown[0]!r} to record; there are {', '.join(there)}")


def _resolution(vizdoom: Any, size: tuple[int, int]) -> Any:
    """What renders twice the size."""
    wide = vizdoom.ScreenResolution.__members__
    sizes = [tuple(int(side) // 2 for side in name[4:].split("X")) for name in wide]
    fit = [s for s in sorted(sizes) if s[0] * 3 == s[1] * 4]
    if tuple(size) not in fit:
        named = ", ".join(f"{w}x{h}" for w, h in fit)
        raise TweenError(f"frames of {size[0]}x{size[1]} cannot be recorded; choose one of {named}")
    return wide[f"RES_{2 * size[0]}X{2 * size[1]}"]


def _maps(config: Doom) -> Sequence[str]:
    return config.maps or wad.maps(_wad())


def _wad() -> Path:
    return Path(_vizdoom().__file__).parent / "freedoom2.wad"


def _vizdoom() -> Any:
    try:
        import vizdoom
    except ImportError:
        raise TweenError("recording Doom needs ViZDoom: pip install 'tween-video[world]'") from None
    return vizdoom
