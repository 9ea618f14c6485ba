"""Runs the server until Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import uvicorn
import websockets  # noqa: F401  uvicorn starts without it, and then refuses every page

from tween.core import TweenError
from tween.studio import wire
from tween.studio.server import Studio, app

PATIENCE = 5  # seconds that open pages have to go, after Ctrl-C


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    Raises:
        TweenError: if it is taken, or there is no such host here.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TweenError(
            f"cannot listen on {host}:{port} ({reason}); choose another --port or --host"
        ) from None


def server(studio: Studio) -> uvicorn.Server:
    """The server, not running yet: `run(sockets=[bound(...)])` runs it, `should_exit = True` stops it."""
    config = uvicorn.Config(
        app(studio),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        ws_max_size=wire.LARGEST,
        ws_per_message_deflate=False,  # JPEG does not shrink
        timeout_graceful_shutdown=PATIENCE,
    )
    return uvicorn.Server(config)


def serve(studio: Studio, port: int, ready: Callable[[str], Any]) -> None:
    """Serve until Ctrl-C; `ready` is told the address."""
    listening = bound(studio.host, port)
    shown = f"[{studio.host}]" if ":" in studio.host else studio.host
    ready(f"http://{shown}:{listening.getsockname()[1]}")
    try:
        server(studio).run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # the usual end: uvicorn has closed everything and raises the signal again
    finally:
        studio.worker.shutdown()
