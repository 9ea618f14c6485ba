"""Datasets in small: folders laid out as the real ones, with few scenes and pictures that tell which they are."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from tests.video.clips import moving
from tween.data import middlebury, xiph


def write(path: Path, size=(6, 4), value=0) -> Path:
    """A picture of one colour, red being `value`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 100, 200)).save(path)
    return path


def texture(path: Path, shift=0, size=(64, 48)) -> Path:
    """A picture of noise that has moved by `shift` pixels to the left."""
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0] + 64, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise[:, shift : shift + size[0]]).save(path)
    return path


def vimeo(
    root: Path, train=("00001/0001", "00001/0002"), test=("00002/0003",), frames=3, size=(448, 256)
) -> Path:
    """Triplets or septuplets; im1 is red 10, im2 red 20 ... The published lists end in a blank line."""
    kind = {3: "tri", 7: "sep"}[frames]
    for scene in (*train, *test):
        for i in range(1, frames + 1):
            write(root / "sequences" / scene / f"im{i}.png", size, 10 * i)
    (root / f"{kind}_trainlist.txt").write_text("\n".join(train) + "\n\n")
    (root / f"{kind}_testlist.txt").write_text("\n".join(test) + "\n\n")
    (root / "readme.txt").write_text("Vimeo")
    return root


def xtrain(root: Path, clips=("002/occ008.320", "003/occ000.1"), size=(64, 48)) -> Path:
    """X-TRAIN as PNG: frame n has moved by n pixels."""
    for clip in clips:
        for n in range(65):
            texture(root / "train" / clip / f"{n:04d}.png", n, size)
    return root


def xtest(root: Path, clips=("Type1/TEST01", "Type3/TEST15"), size=(4096, 2160), every=4) -> Path:
    """X-TEST as PNG, frame n red n; `every` 4: only the frames that are tested on."""
    for clip in clips:
        for n in range(0, 33, every):
            write(root / "test" / clip / f"{n:04d}.png", size, n)
    return root


def board(path: Path) -> Path:
    """A storyboard of three pictures in half a second, the second of them proposed."""
    frames = [{"image": f"{i}.png", "time": i / 4} for i in range(3)]
    for i in range(3):
        texture(path.parent / f"{i}.png", 3 * i)
    path.write_text(
        json.dumps({"fps": 8, "frames": [frames[0], frames[1] | {"status": "proposed"}, frames[2]]})
    )
    return path


def video(path: Path, n=65, size=(64, 48), gop=12, start=Fraction(0), times=None) -> Path:
    """A clip with B-frames whose picture tells its number; `times`, in seconds, make its rate vary."""
    import av
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(
            "libx264", rate=25, options={"preset": "fast", "bf": "2", "g": str(gop), "crf": "8"}
        )
        stream.width, stream.height = size
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, frame in enumerate(moving(n, size[1], size[0])):
            rgb = (torch.as_tensor(frame.rgb).permute(1, 2, 0) * 60).byte().numpy()
            rgb[: size[1] // 2] = numbered(i)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
            seconds = start + (Fraction(i, 25) if times is None else times[i])
            picture.pts, picture.time_base = int(seconds * 1000), Fraction(1, 1000)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return path


def numbered(i: int) -> int:
    """Grey of the upper half of frame `i`."""
    return 30 + 3 * i


def number(picture) -> int:
    """Which frame a picture `h w 3` or `3 h w`, 0 to 255, is."""
    picture = np.asarray(picture, np.float32)
    picture = picture if picture.shape[-1] == 3 else picture.transpose(1, 2, 0)
    return round((float(picture[4 : picture.shape[0] // 2 - 4].mean()) - 30) / 3)


def snu_film(root: Path, level="hard", steps=8, lines=2, between=False) -> Path:
    """Pictures whose red is their number; `between`: all of them, not only the three of each line."""
    listed = []
    for scene, first in [("GOPRO_test/GOPR0384_11_00", 1), ("YouTube_test/0000", 0)][:lines]:
        numbers = range(first, first + steps + 1)
        for n in numbers if between else (first, first + steps // 2, first + steps):
            write(root / "test" / scene / f"{n:0{6 if first else 5}d}.png", value=n)
        width = 6 if first else 5
        three = (first, first + steps // 2, first + steps)
        listed.append(" ".join(f"data/SNU-FILM/test/{scene}/{n:0{width}d}.png" for n in three))
    (root / f"test-{level}.txt").write_text("\n".join(listed) + "\n")
    return root


def ucf101(root: Path, count=379, size=(256, 256)) -> Path:
    """One picture, linked into every folder."""
    one = write(root / "one.png", size)
    for number in range(1, count + 1):
        folder = root / "ucf101_interp_ours" / str(number)
        folder.mkdir(parents=True)
        for name in ("frame_00.png", "frame_01_gt.png", "frame_02.png"):
            (folder / name).hardlink_to(one)
    one.unlink()
    return root


def middlebury_other(root: Path) -> Path:
    """All twelve, and one of the scenes without truth."""
    for name in middlebury.SCENES:
        for path in middlebury.paths(root, name):
            write(path)
    write(root / "other-data/Army/frame10.png")
    return root


def xiph_clips(root: Path, size=(4096, 2160), clips=xiph.CLIPS) -> Path:
    """A hundred frames of each clip, all of them links to three pictures: red 10, 20, 30 in turn."""
    red = [write(root / f"{v}.png", size, v) for v in (10, 20, 30)]
    for clip in clips:
        for n in range(1, 101):
            (root / f"{clip}-{n:03d}.png").hardlink_to(red[n % 3])
    for path in red:
        path.unlink()
    return root


def two_shots(path: Path, counts=(20, 16), step=(3, 0), size=(192, 128)) -> Path:
    """Two textures one after the other, each moving by its `step` pixels a frame to the left."""
    import av
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    w, h = size
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "fast", "g": "10", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"
        for shot, (count, by) in enumerate(zip(counts, step, strict=True)):
            noise = np.random.default_rng(shot).integers(0, 100, (h // 8, w // 4, 3), np.uint8) + 140 * shot
            wide = cv2.resize(noise.astype(np.uint8), (2 * w, h), interpolation=cv2.INTER_CUBIC)
            for i in range(count):
                picture = np.ascontiguousarray(wide[:, by * i : by * i + w])
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode())
    return path
