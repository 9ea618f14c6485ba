"""One page's walk: hears what is pressed, makes blocks in a thread, sends their frames when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from tween.core import TweenError
from tween.infer.diary import Entry, Opening, entry
from tween.infer.walk import Block, blocks_of, step
from tween.infer.world import Actions, World
from tween.studio import wire
from tween.studio.hands import Hands
from tween.studio.pace import Pace
from tween.studio.record import Recorder
from tween.video.still import jpeg, picture


@dataclass
class Life:
    """A session from its beginning on: what replaying it takes."""

    opening: Opening
    session: Any
    entries: list[Entry] = field(default_factory=list)


class Player:
    """What goes on between one page and the world.

    Args:
        worker: runs one thing at a time; all that touches the world or a file goes there.
        send, tell: give bytes, or a value as JSON, to the page.
        folder: for recordings.
        limit: latents after which the walk is over; 0: none.
        seed: to begin with.
    """

    def __init__(
        self,
        world: World,
        worker: Executor,
        send: Callable[[bytes], Awaitable[None]],
        tell: Callable[[dict[str, Any]], Awaitable[None]],
        *,
        folder: Path,
        limit: int = 0,
        seed: int = 0,
    ) -> None:
        self.world, self.folder, self._worker, self._send, self._tell = world, folder, worker, send, tell
        self.blocks, self._seed = blocks_of(limit, world) if limit else None, seed
        self.hands, self.pace = Hands(world), Pace[tuple[dict[str, Any], bytes]](float(1 / world.rate))
        self.paused, self.recorder, self.recorded = False, None, list[str]()
        self._stir, self._number, self._life = asyncio.Event(), 0, None

    async def play(self) -> None:
        """Make and send, until cancelled."""
        await self._work(self._begin, Opening(image=self.world.pictures[0], seed=self._seed))
        await self.tell_state()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._making())
            group.create_task(self._sending())

    async def leave(self) -> None:
        """The page is gone: a recording is finished."""
        await self._work(self._end_recording)

    async def hear(self, said: wire.Message | bytes) -> None:
        """Do what the page says.

        Raises:
            TweenError: at what it cannot have.
        """
        if self._life is None:
            return  # others play; nothing is kept for later
        match said:
            case wire.Input(keys, way, at):
                if not self.paused:
                    self.hands.hear(keys, way, at)
            case wire.Seen(number):
                self.pace.seen(number)
                self._stir.set()
            case _:
                await self._change(said, self._life.opening)
                self._stir.set()
                await self.tell_state()

    async def _change(self, said: wire.Message | bytes, now: Opening) -> None:
        match said:
            case wire.Pause(on):
                self.paused = on
                self.hands.drop()
                self.pace.hold(on)
            case wire.Record(on):
                await self._work(self._begin_recording if on else self._end_recording)
            case wire.Reset(seed):
                await self._again(Opening(image=now.image, seed=now.seed if seed is None else seed))
            case wire.Picture(index):
                if not 0 <= index < len(self.world.pictures):
                    raise TweenError(
                        f"there are {len(self.world.pictures)} pictures, but number {index} was asked for"
                    )
                await self._again(Opening(image=self.world.pictures[index], seed=now.seed))
            case bytes():
                image = await self._work(picture, said, self.world.size)
                await self._again(Opening(image=image, seed=now.seed))

    async def tell_state(self) -> None:
        """What the page shows beside the picture."""
        await self._tell(
            {
                "is": "state",
                "paused": self.paused,
                "over": self._over,
                "seed": self._life.opening.seed,
                "recording": self.recorder is not None,
                "recorded": self.recorded,
            }
        )

    @property
    def _over(self) -> bool:
        return self.blocks is not None and len(self._life.entries) >= self.blocks

    async def _making(self) -> None:
        while True:
            wait = float("inf") if self.paused or self._over else self.pace.ahead
            if wait > 0:
                await self._stirred(wait)
                continue
            life, (actions, since) = self._life, self.hands.take()
            begun = perf_counter()
            block, pictures, made, trouble = await self._work(self._make, life, actions)
            if life is self._life:  # it may have begun again in the meantime
                heads = self._headers(block, made, since)
                self.pace.add(zip(heads, pictures, strict=True), perf_counter() - begun)
            if trouble:
                await self._tell({"is": "error", "text": trouble})
            if trouble or self._over:
                await self.tell_state()
            self._stir.set()

    def _headers(self, block: Block, made: float, since: float | None) -> list[dict[str, Any]]:
        """What is said with each frame. Actions of a block are first seen in its second frame; the others say it, too,
        as any may be dropped."""
        told = {"block": block.index, "made": round(1000 * made, 1)}
        first = block.shown[min(1, len(block.shown) - 1)]
        return [{"frame": frame, "since": since if frame >= first else None} | told for frame in block.shown]

    async def _sending(self) -> None:
        while True:
            due = self.pace.next()
            if due is None:
                await self._stirred(self.pace.wait)
                continue
            header, picture = due
            self._number += 1
            self.pace.sent(self._number)
            await self._send(
                wire.frame(header | {"number": self._number, "dropped": self.pace.dropped}, picture)
            )

    async def _stirred(self, wait: float) -> None:
        """Something happened, or the time is over."""
        try:
            async with asyncio.timeout(None if wait == float("inf") else wait):
                await self._stir.wait()
            self._stir.clear()
        except TimeoutError:
            pass

    async def _again(self, opening: Opening) -> None:
        self.pace.clear()
        self.hands.drop()
        self.paused = False
        self.pace.hold(False)
        await self._work(self._begin, opening)
        self.pace.clear()

    async def _work(self, what: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._worker, what, *args)

    # The rest runs in the worker.

    def _begin(self, opening: Opening) -> None:
        self._end_recording()
        self._life = Life(opening, self.world.open(opening.image, opening.seed))

    def _make(self, life: Life, actions: Actions) -> tuple[Block, list[bytes], float, str | None]:
        begun, shown, trouble = perf_counter(), life.session.due, None
        keys, mouse = (x.expand(-1, len(shown), -1) for x in (actions.keys, actions.mouse))
        block, life.session = step(
            life.session, self.world, self.world.actions(keys, mouse), len(life.entries)
        )
        life.entries.append(entry(self.world, shown, actions))
        made = perf_counter() - begun
        if self.recorder:
            try:
                self.recorder.write(block)
            except TweenError as error:
                self.recorder, trouble = None, str(error)
        return block, [jpeg(frame.rgb) for frame in block.frames], made, trouble

    def _begin_recording(self) -> None:
        if self.recorder is None:
            self.recorder = Recorder(self.folder, self.world, self._life.session.due.start)

    def _end_recording(self) -> None:
        recorder, self.recorder = self.recorder, None
        if recorder:
            self.recorded += [path.name for path in recorder.end(self._life.opening, self._life.entries)]
