"""The synthetic world behind a real server, in a thread."""

import threading
import time
from contextlib import contextmanager

from tests.infer.worlds import world
from tween.studio.serve import bound, server
from tween.studio.server import Studio


@contextmanager
def served(folder, place=None, **options):
    """The port of a server."""
    studio = Studio(world=place or world(), folder=folder, **options)
    listening = bound("127.0.0.1", 0)
    running = server(studio)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not running.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join(15)
        studio.worker.shutdown()
        assert not thread.is_alive(), "the server does not end"
