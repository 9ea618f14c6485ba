"""Single pictures as files and bytes: what a world begins with, and its frames on their way to a browser."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from tween.core import TweenError

LARGEST = 50_000_000  # pixels; a small file can hold far more than memory


def picture(source: str | Path | bytes, size: tuple[int, int]) -> Tensor:
    """A picture as `3 h w` in [0, 1], in steps of 1/255: turned as its EXIF tag says, its middle cut to the shape of
    `size` (h, w), and scaled to it. One of that size comes as it is.

    Args:
        source: a file, or what is in one.

    Raises:
        TweenError: if it is no picture, or one of more than 50 million pixels.
    """
    name = "what was sent" if isinstance(source, bytes) else str(source)
    try:
        with (
            warnings.catch_warnings(),
            Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file,
        ):
            warnings.simplefilter("ignore")  # of its own limit, which is higher
            if file.width * file.height > LARGEST:
                raise TweenError(
                    f"expected a picture of at most {LARGEST // 10**6} megapixels, but {name} has more"
                )
            turned = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = (
            "there is no such file" if isinstance(error, FileNotFoundError) else "it cannot be read as one"
        )
        raise TweenError(f"expected a picture such as a PNG or JPEG, but {name}: {reason}") from None
    h, w = size
    fitted = turned if turned.size == (w, h) else ImageOps.fit(turned, (w, h), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1).float() / 255


def png(rgb: Tensor) -> bytes:
    """`3 h w` in [0, 1] as an 8-bit PNG."""
    return _encoded(".png", rgb, [])


def jpeg(rgb: Tensor, quality: int = 95) -> bytes:
    """`3 h w` in [0, 1] as a JPEG whose colours are as fine as its light: a small world is shown many times larger, and
    blocks of 16 pixels would show."""
    fine = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encoded(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality, *fine])


def _encoded(suffix: str, rgb: Tensor, options: list[int]) -> bytes:
    pixels = (rgb.detach().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return cv2.imencode(suffix, np.ascontiguousarray(pixels[..., ::-1]), options)[1].tobytes()
