"""Draws play.png: the page of `tween play --world doom` in headless Chromium, walking. Keys are pressed, and what the
canvas shows must move as they say, or there is no picture.

PYTHONPATH=. python docs/figures/play.py
"""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tests.studio.browser import browser
from tests.studio.serving import served

from tween.evaluate.world import measure
from tween.zoo.worlds import open_world

KEYS = {"KeyW": "divergence", "ArrowRight": "left", "ArrowLeft": "right"}  # where the picture goes


def main() -> None:
    """Draw it beside this script."""
    folder = Path(tempfile.mkdtemp())
    with (
        served(folder / "recordings", open_world("doom", "cpu")) as port,
        browser(folder, size=(1000, 700)) as tab,
    ):
        tab.call("Page.enable")
        tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
        tab.until("window.tween && tween.shown > 3", seconds=60)
        for code, way in KEYS.items():
            flow, divergence = held(tab, code)
            print(f"{code}: flow {flow:+.2f} px a frame, divergence {divergence:+.4f}", flush=True)
            moved = {"divergence": divergence, "left": -flow, "right": flow}[way]
            assert moved > (0.01 if way == "divergence" else 2), f"{code} should move the picture"
        tab.run("document.querySelector('#seed').value = 1, document.querySelector('#b-reset').click()")
        tab.until("tween.state.seed === 1 && tween.header.frame < 5", seconds=60)
        tab.key("KeyW", True)
        tab.until("tween.header.frame > 10", seconds=60)
        tab.screenshot(folder / "play.png")
        print(tab.run("document.querySelector('#hud').innerText").replace("\n", " "))
    with Image.open(folder / "play.png") as file:
        file.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            Path(__file__).with_suffix(".png"), optimize=True
        )


def held(tab, code: str, frames: int = 12) -> tuple[float, float]:
    """`measure` of what is shown from the first frame that hears the key on."""
    begin = tab.run("tween.delay = null, tween.header.frame")
    tab.key(code, True)
    tab.until(f"tween.delay != null && tween.header.frame > {begin + 8}", seconds=60)
    seen = {}
    while len(seen) < frames:
        number, data = tab.run(
            "[tween.header.frame, document.querySelector('canvas').toDataURL('image/png')]"
        )
        seen[number] = picture(data)
    tab.key(code, False)
    first = min(seen)
    steady = [seen[i] for i in range(first, max(seen) + 1) if i in seen]
    flow, divergence = measure(torch.stack(steady)[None])[0].tolist()
    return flow, divergence


def picture(data: str) -> torch.Tensor:
    """`3 h w` of a canvas."""
    with Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))) as file:
        return torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1).float() / 255


if __name__ == "__main__":
    main()
