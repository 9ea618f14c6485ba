"""Render a clip of known motion with sound, make it smooth, and say how close it came to the truth.

Writes into ./demo: in.mp4 (30 fps), out.mp4 (60 fps), sheet.png. The truth is rendered at 60 fps; every second frame
of it is the input, so every made frame can be compared with what was really there.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads stall small operations
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from tween import api
from tween.infer.pipeline import interpolate
from tween.video.read import open_reader

FOLDER = Path("demo")
SIZE = 360, 640
FPS, SECONDS, SOUND = 60, 3, 48000


def texture(seed: int, height: int, width: int, colours: list[list[float]], finest: int = 4) -> Tensor:
    """`3 h w` in [0, 1]: noise of several sizes, coarse ones stronger, as shades from one colour to another."""
    g = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 1, height, width)
    cell = 64
    while cell >= finest:
        noise = torch.rand(1, 1, height // cell + 2, width // cell + 2, generator=g) - 0.5
        total += F.interpolate(noise, (height, width), mode="bicubic") * (cell / 64) ** 0.6
        cell //= 2
    dark, light = (torch.tensor(colour).view(3, 1, 1) for colour in colours)
    return torch.lerp(dark, light, (0.5 + 0.7 * total[0]).clamp(0, 1))


def shape(points: int) -> Tensor:
    """`1 256 256` mask of a soft-edged star."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 256), torch.linspace(-1, 1, 256), indexing="ij")
    radius = 0.7 + 0.2 * torch.cos(points * torch.atan2(y, x))
    return ((radius - (x**2 + y**2).sqrt()) * 40).clamp(0, 1)[None]


SHADES = [
    [[0.5, 0.1, 0.05], [1, 0.8, 0.3]],
    [[0.5, 0.35, 0.1], [1, 1, 0.8]],
    [[0.35, 0.05, 0.3], [1, 0.6, 0.8]],
]
LAYERS = [torch.cat([texture(n, 256, 256, SHADES[n - 1]), shape(n + 2)]) for n in (1, 2, 3)]
GROUND = texture(0, 2 * SIZE[0], 2 * SIZE[1], [[0.05, 0.15, 0.2], [0.45, 0.6, 0.6]])


def place(layer: Tensor, x: float, y: float, size: float, angle: float) -> Tensor:
    """`layer` on an empty frame: its centre at (x, y) pixels, `size` pixels wide, turned by `angle` radians."""
    height, width = SIZE
    tall = size * layer.shape[1] / layer.shape[2]
    c, s = np.cos(angle), np.sin(angle)
    ax, ay = width / size, height / size
    dx, dy = (width / 2 - x) * 2 / size, (height / 2 - y) * 2 / size
    ratio = size / tall
    theta = torch.tensor(
        [[[c * ax, s * ay, c * dx + s * dy], [-s * ax * ratio, c * ay * ratio, (c * dy - s * dx) * ratio]]]
    )
    grid = F.affine_grid(theta.float(), [1, layer.shape[0], height, width], align_corners=False)
    return F.grid_sample(layer[None], grid, align_corners=False)[0]


def render(time: float) -> Tensor:
    """The scene at any time, `3 h w` in [0, 1]: a ground that drifts, three stars that swing and turn before it."""
    height, width = SIZE
    frame = place(GROUND, width / 2 - 60 * time, height / 2 + 25 * np.sin(time), 2 * width, 0.05 * time)
    for n, layer in enumerate(LAYERS, 1):
        x = width * (0.5 + 0.35 * np.sin(1.3 * time + 2.1 * n))
        y = height * (0.5 + 0.3 * np.cos(1.7 * time + 1.3 * n))
        placed = place(layer, x, y, 150 + 30 * np.sin(time + n), 1.2 * np.sin(time + n))
        frame = frame * (1 - placed[3:]) + placed[:3] * placed[3:]
    return frame


def write(path: Path, frames: list[Tensor], fps: int) -> None:
    """An H.264 video with a tone that rises with the motion."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "fast"})
        video.height, video.width, video.pix_fmt = *SIZE, "yuv420p"
        audio = container.add_stream("aac", rate=SOUND, layout="mono")
        for frame in frames:
            pixels = (frame * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        time = np.arange(SOUND * SECONDS) / SOUND
        wave = (0.2 * np.sin(2 * np.pi * (220 + 40 * time) * time)).astype(np.float32)[None]
        for start in range(0, wave.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(wave[:, start : start + 1024], format="fltp", layout="mono")
            block.sample_rate, block.pts = SOUND, start
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))


def made_by(model: str | None, truth: list[Tensor]) -> tuple[float, list[Tensor]]:
    """Mean PSNR (dB) of the made frames of `in.mp4` at 60 fps against the truth, and all frames."""
    frames = [frame for _, frame in api.frames(FOLDER / "in.mp4", fps=FPS, model=model)]
    return float(np.mean([psnr(a, b) for a, b in zip(frames[1:-1:2], truth[1:-1:2], strict=True)])), frames


def psnr(a: Tensor, b: Tensor) -> float:
    """dB, over RGB in [0, 1]."""
    return float(-10 * (a - b).square().mean().log10())


def sheet(rows: dict[str, list[Tensor]], moments: list[int]) -> Image.Image:
    """Crops of some moments, a row a method."""
    height, width = SIZE
    image = Image.new("RGB", (width * len(moments), (height + 20) * len(rows)), "white")
    draw = ImageDraw.Draw(image)
    for row, (name, frames) in enumerate(rows.items()):
        draw.text((6, row * (height + 20) + 4), name, fill="black")
        for column, moment in enumerate(moments):
            pixels = (frames[moment].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            image.paste(Image.fromarray(pixels), (column * width, row * (height + 20) + 20))
    return image


def main() -> None:
    """Render, interpolate, compare, report."""
    FOLDER.mkdir(exist_ok=True)
    print(f"rendering {SECONDS} s of moving layers at {FPS} fps")
    truth = [render(index / FPS) for index in range(FPS * SECONDS)]
    write(FOLDER / "in.mp4", truth[::2], FPS // 2)
    filler, fallbacks = api.open_model(device=(device := api.pick_device("auto")))
    request = api.request(FOLDER / "in.mp4", fps=Fraction(FPS))
    summary = interpolate(
        request, FOLDER / "out.mp4", filler, device=device, fallbacks=fallbacks, overwrite=True
    )
    rates = ", ".join(f"{stage} {rate:.0f} fps" for stage, rate in summary.rates.items())
    print(f"{summary.frames_in} frames -> {summary.frames_out} in {summary.seconds:.1f} s ({rates})")
    ours, frames = made_by(None, truth)
    blend, blended = made_by("blend", truth)
    print(f"PSNR of the made frames against the truth: {ours:.2f} dB; blending two frames: {blend:.2f} dB")
    moments = [31, 91, 151]
    sheet({"blend": blended, "tween": frames, "truth": truth}, moments).save(FOLDER / "sheet.png")
    with open_reader(FOLDER / "out.mp4") as reader:
        streams = ", ".join(reader.info.streams)
    print(f"the video is {FOLDER / 'out.mp4'} ({streams}); side by side: {FOLDER / 'sheet.png'}")


if __name__ == "__main__":
    main()
