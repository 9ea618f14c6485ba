"""The server from outside: who is let in, how frames come, who waits, what breaks nothing."""

import http.client
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from itertools import pairwise

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.infer.worlds import RATE, heading, picture, spread, turned, world
from tests.studio.serving import served, visited
from tween.studio import wire
from tween.studio.pace import FLYING, UNSENT
from tween.studio.server import WAITING, welcome
from tween.video.still import png


@pytest.fixture
def port(tmp_path):
    with served(tmp_path) as port:
        yield port


def tab(port):
    """A WebSocket that stays open."""
    return ExitStack().enter_context(connect(f"ws://127.0.0.1:{port}/play"))


def fetch(port, path, **headers):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request("GET", path, headers=headers)
    answer = link.getresponse()
    return answer.status, answer.read(), answer.headers


def test_the_page_comes_whole_and_asks_nobody_else(port):
    status, page, headers = fetch(port, "/")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    text = page.decode()
    assert re.findall(r"https?://[^'\"\s]*", text) == ["http://www.w3.org/2000/svg"]
    assert " src=" not in text
    assert "@import" not in text


def test_pictures_and_nothing_outside_the_recordings(port, tmp_path):
    status, data, headers = fetch(port, "/picture/2")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert data.startswith(b"\xff\xd8")
    (tmp_path / "note.txt").write_text("x")
    (tmp_path.parent / "other.mp4").write_text("x")
    for path in (
        "/picture/3",
        "/picture/x",
        "/recording/note.txt",
        "/recording/../other.mp4",
        "/recording/%2e%2e%2fother.mp4",
    ):
        assert fetch(port, path)[0] == 404, path
    (tmp_path / "one.mp4").write_text("film")
    assert fetch(port, "/recording/one.mp4")[1] == b"film"


def test_another_name_or_another_site_is_refused(port):
    assert fetch(port, "/", Host=f"evil.example:{port}")[0] == 403
    assert fetch(port, "/", Host="")[0] == 403
    assert fetch(port, "/", Host=f"localhost:{port}")[0] == 200
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}", "http://[::1"):
        with pytest.raises(InvalidStatus) as refused, visited(port, origin):
            pass
        assert refused.value.response.status_code == 403
    with visited(port, f"http://127.0.0.1:{port}") as page:
        assert page.hear()["is"] == "hello"


def test_a_name_that_was_led_here_is_refused_even_by_its_own_page(port):
    headers = {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}
    names = {"127.0.0.1", "localhost"}
    assert not welcome({k.lower(): v for k, v in headers.items()}, names)
    assert welcome({"host": "10.0.0.2:80", "origin": "http://10.0.0.2:80"}, None)
    assert not welcome({"host": "10.0.0.2:80", "origin": "http://evil.example"}, None)
    assert welcome({"host": "[::1]:7860"}, {"::1"})
    assert not welcome({}, names)


def test_frames_come_in_order_at_their_pace(port):
    with visited(port) as page:
        greeting = page.hear()
        assert (greeting["version"], greeting["rate"], greeting["size"]) == (1, 17.5, [64, 48])
        assert greeting["caps"] == ["W", "S", "A", "D"]
        times = []
        while len(times) < 33:
            if "frame" in page.hear():
                times.append(time.monotonic())
    assert [head["frame"] for head in page.headers] == list(range(33))
    assert [head["block"] for head in page.headers] == [0] * 9 + [1] * 12 + [2] * 12
    assert {head["dropped"] for head in page.headers} == {0}
    assert (times[-1] - times[0]) == pytest.approx(32 / RATE, rel=0.15)
    assert sorted(b - a for a, b in pairwise(times))[4] > 0.5 / RATE, "they do not come in bursts"


def test_keys_move_the_world_and_a_tap_is_answered_with_its_own_time(port):
    with visited(port) as page:
        page.frame(3)
        page.press("L")
        at = time.time() * 1000
        page.until(lambda m: m.get("since"))
        assert page.headers[-1]["since"] == pytest.approx(at, abs=50)
        first = page.headers[-1]["frame"]
        assert first in (10, 22), "what was pressed is first seen in the second frame of a block"
        page.press("L")
        page.frame(first + 8)
        right = turned(page.pictures[first - 1], page.pictures[first + 8])
        assert right == pytest.approx(9 * 2.5, abs=3)
        page.press("WJ")
        old = page.headers[-1]["since"]
        since = page.until(lambda m: m.get("since") not in (None, old))["frame"]
        page.frame(since + 8)
        left = turned(page.pictures[since - 1], page.pictures[since + 8])
        assert left == pytest.approx(-9 * 2.5, abs=3)
        assert spread(page.pictures[since + 8]) < 0.9 * spread(page.pictures[since - 1])


def test_a_page_that_falls_behind_is_sent_no_pile(tmp_path):
    place = world()
    with served(tmp_path, place) as port, visited(port) as page:
        page.frame(5)
        for _ in range(FLYING):
            page.hear(see=False)
        time.sleep(1.5)
        with pytest.raises(TimeoutError):
            page.hear(timeout=0.2)
        assert [head["frame"] for head in page.headers] == list(range(6 + FLYING))
        assert place.filler.calls == [range(9), range(9, 21)], "nothing is made for a page that sees nothing"
        page.say("seen", number=page.headers[-1]["number"])
        assert [page.frame()["frame"] for _ in range(UNSENT + 1)] == [19, 20, 21]
        assert page.headers[-1]["dropped"] == 19 - 6 - FLYING


def test_two_tabs_take_turns(port):
    with visited(port) as first:
        first.frame()
        with visited(port) as second, visited(port) as third:
            assert second.word("line")["place"] == 1
            assert third.word("line")["place"] == 2
            second.say("record", on=True)  # words of those who wait are not kept
            first.frame()
            first.socket.close()
            second.frame(4)
            assert second.state["recording"] is False
            assert third.word("line")["place"] == 1
            second.frame()


def test_many_tabs_are_refused_politely_and_hurt_nobody(port):
    with visited(port) as first:
        first.frame()
        tabs = [tab(port) for _ in range(WAITING + 5)]
        said = [json.loads(tab.recv(timeout=10)) for tab in tabs]
        assert [word["is"] for word in said] == ["hello"] * WAITING + ["full"] * 5
        with pytest.raises(ConnectionClosed) as closed:
            tabs[-1].recv(timeout=10)
        assert closed.value.rcvd.code == 1013
        first.frame()
        for one in tabs:
            one.close()
        first.frame(40)
        with visited(port) as another:
            assert another.word("line")["place"] == 1


def test_tabs_that_come_and_go_while_blocks_are_made_leave_the_line_free(tmp_path):
    with served(tmp_path, world(pause=0.2)) as port:
        for _ in range(4):
            with visited(port) as page:
                page.word("state")
        with visited(port) as page:
            page.frame()


def test_a_message_that_is_too_large_ends_that_page_alone(port):
    with visited(port) as page:
        page.frame()
        head = b"\x82\xff" + struct.pack(">Q", wire.LARGEST + 1) + bytes(4)  # of a message of one byte more
        page.socket.socket.sendall(head)
        with pytest.raises(ConnectionClosed) as closed:
            page.until(lambda m: False)
        assert closed.value.rcvd.code == 1009
    with visited(port) as page:
        page.socket.send(b"x" * wire.LARGEST)
        assert "cannot be read" in page.word("error")["text"]


def test_nonsense_is_answered_and_the_walk_goes_on(port):
    with visited(port) as page:
        page.frame()
        for nonsense in (
            "",
            "{",
            "[]",
            '{"do": "fly"}',
            '{"do": "picture", "index": 99}',
            b"no picture",
            b"",
        ):
            page.socket.send(nonsense)
            assert page.word("error")["text"]
        page.frame()


def test_pause_reset_seed_and_pictures(port):
    with visited(port) as page:
        page.frame(3)
        page.say("pause", on=True)
        assert page.word("state")["paused"]
        with pytest.raises(TimeoutError):
            page.hear(timeout=0.8)
        page.say("pause", on=False)
        assert not page.word("state")["paused"]
        following = page.frame()["frame"]
        assert following == page.headers[-2]["frame"] + 1
        for message, expected, seed in (
            ({"do": "reset", "seed": 2}, 74, 2),
            ({"do": "reset"}, 74, 2),
            ({"do": "picture", "index": 1}, 74, 2),
            ({"do": "reset", "seed": 0}, 0, 0),
        ):
            page.socket.send(json.dumps(message))
            assert page.word("state")["seed"] == seed
            page.frame(0)
            assert turned(page.pictures[-1], picture(expected // 37)) == pytest.approx(0, abs=3), message
            assert heading(page.pictures[-1]) == pytest.approx(expected, abs=3) or expected == 0


def test_a_picture_that_is_sent_opens_a_session_with_it(tmp_path):
    place, seen = world(), []
    begin = place.filler.fill
    place.filler.fill = lambda state, known, *rest: (seen.append(known[0, 0]), begin(state, known, *rest))[1]
    with served(tmp_path, place) as port, visited(port) as page:
        page.frame()
        page.socket.send(png(picture(5)))
        page.word("state")
        page.frame(0)
    assert any((shown == picture(5)).all() for shown in seen)


def test_the_walk_ends_at_its_limit_and_can_begin_again(tmp_path):
    with served(tmp_path, limit=6) as port, visited(port) as page:
        page.until(lambda m: m.get("over"))
        page.frame(20)
        with pytest.raises(TimeoutError):
            page.hear(timeout=0.6)
        page.say("reset")
        assert not page.word("state")["over"]
        page.frame(0)


def test_a_world_that_breaks_is_told_and_the_server_stays(tmp_path, capfd):
    place = world()
    fill = place.filler.fill
    place.filler.fill = lambda state, *rest: 1 / 0 if state.block == 1 else fill(state, *rest)
    with served(tmp_path, place) as port:
        with visited(port) as page:
            assert "ZeroDivisionError" in page.word("error")["text"]
            with pytest.raises(ConnectionClosed):
                page.until(lambda m: False)
        with visited(port) as page:
            page.frame(0)
    err = capfd.readouterr().err
    assert err.count("ZeroDivisionError") == err.count("\n") >= 1, err


def test_the_server_ends_while_pages_are_open(tmp_path):
    with served(tmp_path) as port:
        tabs = tab(port), tab(port)
        tabs[0].recv(timeout=10)
        begun = time.monotonic()
    assert time.monotonic() - begun < 8
    for one in tabs:
        with pytest.raises(ConnectionClosed):
            all(one.recv(timeout=10) for _ in range(1000))


SERVE = """
import sys
from tests.infer.worlds import world
from tween.cli import main, play
play.open_world = lambda *_: world()
sys.exit(main.main(["play", "--port", "0"]))
"""


def test_ctrl_c_ends_it_clean(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        said = process.stdout.readline()
        assert said.startswith("panorama is at http://127.0.0.1:"), process.stderr.read()
        with visited(int(said.split(":")[2].split(";")[0])) as page:
            page.frame(2)
            process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                page.until(lambda m: False)
        err = process.communicate(timeout=20)[1]
    finally:
        guard.cancel()
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in err
    assert err == ""
