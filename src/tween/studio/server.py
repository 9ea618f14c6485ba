"""The server of `tween play`: one page, its pictures, its recordings, and a WebSocket for who plays."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tween.core import TweenError
from tween.infer.film import letters
from tween.infer.world import World
from tween.studio import wire
from tween.studio.player import Player
from tween.video.still import jpeg

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANYWHERE = ("0.0.0.0", "::")
WAITING = 8  # pages that may wait for the one that plays
REFUSED, LATER, FAILED = 1008, 1013, 1011  # of RFC 6455
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass
class Line:
    """Who plays, and who waits for it: the world is one, and goes to one page at a time."""

    people: list[asyncio.Event] = field(default_factory=list)

    @asynccontextmanager
    async def turn(self, tell: Callable[[int], Awaitable[None]]) -> AsyncIterator[None]:
        """Wait for the turn, being told the place in line whenever it changes."""
        me = asyncio.Event()
        self.people.append(me)
        try:
            while place := self.people.index(me):
                await tell(place)
                await me.wait()
                me.clear()
            yield
        finally:
            self.people.remove(me)
            for other in self.people:
                other.set()

    @property
    def full(self) -> bool:
        """Whether nobody else may wait."""
        return len(self.people) > WAITING


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What the server holds.

    Attributes:
        folder: for recordings.
        host: that it is bound to.
        limit: latents of a walk; 0: none.
        seed: that walks begin with.
        worker: a thread for all that touches the world.
    """

    world: World
    folder: Path
    host: str = "127.0.0.1"
    limit: int = 0
    seed: int = 0
    worker: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "world"))
    line: Line = field(default_factory=Line)


def app(studio: Studio) -> Any:
    """The ASGI application."""
    page = files("tween.studio").joinpath("page.html").read_bytes()
    shown = [jpeg(x) for x in studio.world.pictures]

    async def index(request: Request) -> Response:
        return Response(page, media_type="text/html; charset=utf-8", headers=HEADERS)

    async def seed_picture(request: Request) -> Response:
        number = request.path_params["number"]
        if number >= len(shown):
            return PlainTextResponse("there is no such picture", 404)
        return Response(shown[number], media_type="image/jpeg", headers=HEADERS)

    async def recording(request: Request) -> Response:
        path = studio.folder / request.path_params["name"]  # a route's name holds no slash
        if path.suffix not in (".mp4", ".ndjson") or not path.is_file():
            return PlainTextResponse("there is no such recording", 404)
        return FileResponse(path, filename=path.name, headers=HEADERS)

    routes = [
        Route("/", index),
        Route("/picture/{number:int}", seed_picture),
        Route("/recording/{name}", recording),
        WebSocketRoute("/play", partial(meet, studio=studio)),
    ]
    return guarded(Starlette(routes=routes), studio.host)


def guarded(inner: Any, host: str) -> Any:
    """`inner` for requests that name this server, and WebSockets that its own page opens: another site's page, or a
    name of another site that leads here, is refused."""
    names = None if host in ANYWHERE else {*LOOPBACK, host}

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope.get("headers", ())}
        if scope["type"] == "lifespan" or welcome(headers, names):
            await inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(REFUSED)
        else:
            await PlainTextResponse("this server answers to its own name only", 403)(scope, receive, send)

    return guard


def welcome(headers: dict[str, str], names: set[str] | None) -> bool:
    """Whether the request's Host is one of `names` (None: any), and its Origin, if it has one, that host."""
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        own = names is None or urlsplit(f"//{host}").hostname in names
        return own and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:
        return False


async def meet(socket: WebSocket, studio: Studio) -> None:
    """A page, from its first word to its last."""
    await socket.accept()

    async def tell(value: dict[str, Any]) -> None:
        await socket.send_text(json.dumps(value))

    if studio.line.full:
        await tell({"is": "full", "waiting": WAITING})
        await socket.close(LATER)
        return
    player = Player(
        studio.world,
        studio.worker,
        socket.send_bytes,
        tell,
        folder=studio.folder,
        limit=studio.limit,
        seed=studio.seed,
    )
    await tell(hello(studio))
    tasks = [
        asyncio.create_task(listen(socket, player, tell)),
        asyncio.create_task(host(studio, player, tell)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await player.leave()
        except TweenError as error:
            print(f"tween: {error}", file=sys.stderr)
    await excuse(socket, tell, next(iter(done)).exception())


async def host(studio: Studio, player: Player, tell: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Let the page play when it is its turn."""

    async def place(number: int) -> None:
        await tell({"is": "line", "place": number})

    async with studio.line.turn(place):
        await player.play()


async def listen(
    socket: WebSocket, player: Player, tell: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Hear the page until it is gone."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            text = message.get("text")
            await player.hear(wire.heard(text) if text is not None else message["bytes"])
        except TweenError as error:
            await tell({"is": "error", "text": str(error)})


async def excuse(socket: WebSocket, tell: Any, error: BaseException | None) -> None:
    """Tell page and terminal what went wrong; a page that left is nothing wrong."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    left = socket.application_state is WebSocketState.DISCONNECTED  # Starlette says so by a RuntimeError, too
    if (
        error is None
        or isinstance(error, (WebSocketDisconnect, OSError))
        or (left and type(error) is RuntimeError)
    ):
        return
    text = str(error) if isinstance(error, TweenError) else f"a bug: {type(error).__name__}: {error}"
    print(f"tween: {text}", file=sys.stderr)
    try:
        await tell({"is": "error", "text": text})
        await socket.close(FAILED)
    except (WebSocketDisconnect, OSError, RuntimeError):
        return


def hello(studio: Studio) -> dict[str, Any]:
    """What a page has to know."""
    world = studio.world
    return {
        "is": "hello",
        "version": wire.VERSION,
        "world": Path(world.name).stem,
        "rate": float(world.rate),
        "size": [world.size[1], world.size[0]],
        "caps": letters(world),
        "letters": "".join(world.mode.letters),
        "mouse": world.mode.mouse,
        "pictures": len(world.pictures),
        "largest": wire.LARGEST,
    }
