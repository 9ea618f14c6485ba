"""`tween play`: the page is served by an extra, the terminal needs none."""

import io
import socket
import subprocess
import sys

import pytest

from tests.infer.worlds import picture, world
from tween.cli import play
from tween.cli.main import main
from tween.video.read import open_reader
from tween.video.still import png


@pytest.fixture
def typed(monkeypatch):
    """Type lines; the world is the synthetic one."""
    monkeypatch.setattr(play, "open_world", lambda *_: world())
    return lambda *lines: monkeypatch.setattr(
        sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines))
    )


def test_a_walk_in_the_terminal(typed, tmp_path, capsys):
    typed("W", "L", "", "", "J", "n")
    (tmp_path / "a.png").write_bytes(png(picture(1)))
    out = tmp_path / "walk.mp4"
    assert main(["play", "--terminal", "-o", str(out), "--image", str(tmp_path / "a.png")]) == 0
    with open_reader(out) as reader:
        assert len(list(reader)) == 21
    assert capsys.readouterr().out.endswith(f"{out}: 21 frames\n")
    assert sorted(x.name for x in tmp_path.iterdir()) == ["a.png", "walk.mp4", "walk_current.mp4"]


@pytest.mark.parametrize(
    ("flags", "frames"), [(["--latents", "6"], 21), (["--latents", "0"], 9 + 12 * 129), ([], 1437)]
)
def test_360_latents_are_the_limit_unless_told(typed, tmp_path, flags, frames):
    typed(*["W", "", ""] * 130)
    assert main(["play", "--terminal", "-o", str(tmp_path / "a.mp4"), *flags]) == 0
    with open_reader(tmp_path / "a.mp4") as reader:
        assert len(list(reader)) == frames


def test_the_terminal_wants_to_know_where_to_write(capsys):
    assert main(["play", "--terminal"]) == 2
    assert "pass -o OUT with --terminal" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "websockets"])
def test_without_the_extra_a_sentence_names_it_and_the_terminal_works(missing, tmp_path):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from tests.infer.worlds import world\n"
        "from tween.cli import main, play\n"
        "play.open_world = lambda *_: world()\n"
        f"assert main.main(['play']) == 2\n"
        f"assert main.main(['play', '--terminal', '-o', {str(tmp_path / 'a.mp4')!r}]) == 0"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, input="W\n\nn\n", timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        f"tween: the page of tween play needs {missing}: pip install 'tween-video[play]', or play in the --terminal\n"
    )
    assert (tmp_path / "a.mp4").exists()


def test_a_port_that_is_taken(typed, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["play", "--port", str(port)]) == 2
    err = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1:{port}" in err
    assert err.count("\n") == 1


def test_a_world_that_is_not_there(capsys):
    assert main(["play", "--world", "absent"]) == 2
    assert "there is no world 'absent'; choose doom" in capsys.readouterr().err


def test_it_listens_to_this_machine_alone_unless_told():
    assert play.Options().host == "127.0.0.1"
