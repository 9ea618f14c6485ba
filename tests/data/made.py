"""A folder of training data made on the spot: a clip of moving texture, shots.csv, a photo, a scene to validate on."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def picture(shift: int, h: int = 96, w: int = 128) -> np.ndarray:
    """`h w 3` uint8 RGB: a texture that moves to the left as `shift` grows."""
    noise = np.random.default_rng(0).integers(0, 256, (h // 8, w // 4, 3), np.uint8)
    return np.ascontiguousarray(cv2.resize(noise, (2 * w, h))[:, shift : shift + w])


def clip(path: Path, n: int = 12, h: int = 96, w: int = 128) -> Path:
    """`n` frames of `picture`, two pixels a frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (w, h))
    for i in range(n):
        writer.write(picture(2 * i, h, w)[..., ::-1])
    writer.release()
    return path


def folder(root: Path) -> dict[str, Path]:
    """Arguments of the recipe: data (two shots in one clip, and one clip that is missing), packed, photos, val."""
    clip(root / "data" / "in" / "a.avi")
    (root / "data" / "shots.csv").write_text(
        "file,shot,start_frame,end_frame_excl,mean_flow_px\n"
        "in/a.avi,0,0,6,2.0\nin/a.avi,1,6,14,2.0\nmissing.mp4,0,0,50,1.0\n"
    )
    scene = root / "val" / "scene"
    for place in (root / "photos", scene):
        place.mkdir(parents=True)
    Image.fromarray(picture(40)).save(root / "photos" / "one.jpg")
    for i in (1, 2, 3):
        Image.fromarray(picture(4 * i)).save(scene / f"im{i}.png")
    return {name: root / name for name in ("data", "packed", "photos", "val")}
