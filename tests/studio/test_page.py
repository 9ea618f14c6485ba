"""The page in a real browser: keys are pressed, and the picture changes the right way."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from tests.infer.worlds import spread, turned, world
from tests.studio.browser import browser
from tests.studio.serving import served, visited


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """A page that plays the synthetic world."""
    folder = tmp_path_factory.mktemp("recordings")
    with served(folder, world(size=(120, 160))) as port, browser(tmp_path_factory.mktemp("browser")) as tab:
        tab.port, tab.folder = port, folder
        tab.call("Page.enable")
        tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
        tab.until("window.tween && tween.shown > 5")
        yield tab


@pytest.fixture(autouse=True)
def afresh(tab):
    """Begins again by another seed, nothing held; every frame of the walk before has been shown."""
    seed = tab.run("document.querySelector('#seed').value = tween.state.seed + 1")
    tab.tap("KeyR")
    tab.until(f"tween.state.seed === {seed}")
    number = tab.run("tween.header.number")
    tab.until(f"tween.header.number > {number + 8}")


def shown(tab):
    """The picture on the canvas, `3 h w`."""
    data = tab.run("document.querySelector('canvas').toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))) as file:
        return torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1).float() / 255


def after(tab, *codes):
    """What is shown before and after a second and more with keys held."""
    before, number = shown(tab), tab.run("tween.delay = null, tween.header.frame")
    for code in codes:
        tab.key(code, True)
    tab.until(f"tween.delay != null && tween.header.frame > {number + 20}")
    found = shown(tab)
    for code in codes:
        tab.key(code, False)
    return before, found


@pytest.mark.parametrize(("code", "way"), [("ArrowRight", 1), ("KeyL", 1), ("ArrowLeft", -1), ("KeyJ", -1)])
def test_arrows_turn_the_way_they_point(tab, code, way):
    assert 8 < way * turned(*after(tab, code)) < 110


@pytest.mark.parametrize(("code", "nearer"), [("KeyW", True), ("KeyS", False)])
def test_w_walks_ahead_and_s_back(tab, code, nearer):
    before, found = after(tab, code)
    ratio = spread(found) / spread(before)
    assert ratio < 0.9 if nearer else ratio > 1.1
    assert turned(before, found) == pytest.approx(0, abs=3)


def test_chords_do_both(tab):
    before, found = after(tab, "KeyW", "ArrowRight")
    assert spread(found) < 0.95 * spread(before)
    assert turned(before, found) > 8


def test_the_mouse_looks_around(tab):
    before, number = shown(tab), tab.run("tween.header.frame")
    tab.mouse("mousePressed", 640, 400, button="left", clickCount=1)
    for x in range(640, 900, 10):
        tab.mouse("mouseMoved", x, 400, button="left", buttons=1)
    tab.mouse("mouseReleased", 900, 400, button="left", clickCount=1)
    tab.until(f"tween.header.frame > {number + 40}")
    assert 8 < turned(before, shown(tab)) < 30


def test_caps_light_up_and_go_out_when_the_window_loses_the_keyboard(tab):
    lit = "[...document.querySelectorAll('#caps kbd.on')].map((cap) => cap.textContent).join('')"
    tab.key("KeyW", True)
    tab.key("KeyD", True)
    assert tab.run(lit) == "WD"
    tab.run("window.dispatchEvent(new Event('blur'))")
    assert tab.run(lit) == ""
    tab.key("KeyW", False)
    tab.key("KeyD", False)


def test_pause_stands_still_and_goes_on(tab):
    tab.tap("KeyP")
    tab.until("tween.state.paused")
    tab.run("new Promise((done) => setTimeout(done, 300))")
    count = tab.run("tween.shown")
    assert tab.run("document.querySelector('#say').innerText").startswith("Paused")
    tab.run("new Promise((done) => setTimeout(done, 700))")
    assert tab.run("tween.shown") == count
    tab.tap("KeyP")
    tab.until(f"!tween.state.paused && tween.shown > {count + 5}")
    assert tab.run("document.querySelector('#say').hidden")


def test_typing_a_seed_walks_nowhere_and_enter_begins_with_it(tab):
    tab.run("document.querySelector('#seed').focus(), document.querySelector('#seed').select()")
    for digit in "41":
        tab.call("Input.insertText", text=digit)
    tab.key("KeyW", True)
    assert tab.run("document.querySelectorAll('#caps kbd.on').length") == 0
    tab.key("KeyW", False)
    tab.call("Input.dispatchKeyEvent", type="rawKeyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    tab.until("tween.state.seed === 41")
    tab.run("document.querySelector('#seed').value = 0, document.querySelector('#b-reset').click()")
    tab.until("tween.state.seed === 0")


def test_a_recording_is_offered(tab):
    tab.tap("KeyV")
    tab.until("tween.state.recording")
    begun = tab.run("tween.header.frame")
    tab.until(f"tween.header.frame > {begun + 25}")
    tab.tap("KeyV")
    tab.until("document.querySelectorAll('#files a').length >= 2")
    assert {path.suffix for path in tab.folder.iterdir()} == {".mp4", ".ndjson"}
    size = tab.run(
        "fetch(document.querySelector('#files a').href).then((x) => x.arrayBuffer()).then((x) => x.byteLength)"
    )
    assert size == max(path.stat().st_size for path in tab.folder.glob("*.mp4"))


def test_figures_are_shown_and_believable(tab, tmp_path):
    after(tab, "KeyW")
    tab.run("new Promise((done) => setTimeout(done, 900))")
    figures = tab.run("document.querySelector('#hud').innerText").split("\n")
    found = dict(zip(figures[::2], figures[1::2], strict=True))
    assert found["made"].endswith("ms a block")
    assert float(found["shown"].split(" / ")[1].split()[0]) == 17.5
    assert float(found["shown"].split(" / ")[0]) > 10
    assert 50 < float(found["key to picture"].split()[0]) < 3000
    tab.screenshot(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as file:
        assert file.size == (1280, 860)
        assert len(set(np.array(file.convert("RGB"))[::8, ::8].reshape(-1, 3).sum(1).tolist())) > 60


def test_another_page_is_told_that_it_waits(tab):
    with visited(tab.port) as other:
        assert other.word("line")["place"] == 1
