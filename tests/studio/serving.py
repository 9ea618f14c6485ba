"""The synthetic world behind a real server, in a thread."""

import io
import json
import threading
import time
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from websockets.sync.client import connect

from tests.infer.worlds import world
from tween.studio import wire
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


class Page:
    """What a page does, without a browser: hears words and frames, says that it has seen them."""

    def __init__(self, socket):
        self.socket, self.words, self.headers, self.pictures, self.state = socket, [], [], [], {}

    def say(self, do, **more):
        self.socket.send(json.dumps({"do": do, **more}))

    def press(self, keys, way=(0, 0)):
        self.say("input", keys=keys, way=way, at=time.time() * 1000)

    def hear(self, timeout=10, see=True):
        """The next message: a word as a dict, or the header of a frame."""
        message = self.socket.recv(timeout=timeout)
        if isinstance(message, str):
            word = json.loads(message)
            self.words.append(word)
            self.state = word if word["is"] == "state" else self.state
            return word
        header, jpeg = wire.unpacked(message)
        self.headers.append(header)
        with Image.open(io.BytesIO(jpeg)) as file:
            self.pictures.append(torch.from_numpy(np.array(file)).permute(2, 0, 1).float() / 255)
        if see:
            self.say("seen", number=header["number"])
        return header

    def until(self, true, see=True):
        """Hear until `true(message)`; that message."""
        while True:
            message = self.hear(see=see)
            if true(message):
                return message

    def word(self, kind):
        return self.until(lambda message: message.get("is") == kind)

    def frame(self, number=None):
        """The next frame, or the one with that number in its session."""
        return self.until(lambda m: "frame" in m and (number is None or m["frame"] == number))


@contextmanager
def visited(port, origin=None, **options):
    """A page that has been greeted."""
    with connect(f"ws://127.0.0.1:{port}/play", origin=origin, compression=None, **options) as socket:
        yield Page(socket)
