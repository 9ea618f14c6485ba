"""The synthetic world behind a real server, in a thread."""

import threading
import time
from contextlib import contextmanager
from functools import partial

from tests.infer.worlds import RATE, SIZE, Panorama, picture
from tween.infer.world import World
from tween.models.stream.actions import UNIVERSAL, Actions, read
from tween.studio.serve import bound, server
from tween.studio.server import Studio


def world(pause=0.0, rate=RATE, size=SIZE, mode=UNIVERSAL, pictures=3):
    """A world whose blocks take `pause` seconds longer to make."""
    return World(
        name="panorama",
        filler=Panorama(mode=mode, pause=pause),
        mode=mode,
        actions=Actions,
        read=partial(read, mode=mode),
        rate=rate,
        size=size,
        block=3,
        pictures=[picture(seed) for seed in range(pictures)],
    )


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
