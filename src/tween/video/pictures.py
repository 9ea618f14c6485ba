"""Pictures as people hold them (arrays, tensors, PIL images) to `b c h w` in [0, 1] and back to their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tween.core import TweenError

Give = Callable[[Tensor], Any]
_LARGEST = 2.0  # of floats: filters overshoot 1 a little, 0 to 255 is another range


def to_tensor(picture: Any) -> tuple[Tensor, Give]:
    """`b c h w` float in [0, 1] of a picture, and what turns such a tensor into its kind again.

    Args:
        picture: array `h w c` or `h w`, tensor `c h w` or `b c h w`, or PIL image; 1, 3 or 4 channels; uint8 or
            uint16 over their range, floats in [0, 1]. PIL modes other than L, I;16, RGB and RGBA become RGB, or RGBA
            if they are transparent somewhere.

    Raises:
        TweenError: if it is none of these, or floats have another range.
    """
    if isinstance(picture, Tensor):
        return _of_tensor(picture)
    if isinstance(picture, np.ndarray):
        return _of_array(picture)
    if hasattr(picture, "convert") and hasattr(picture, "mode"):
        return _of_image(picture)
    raise TweenError(f"expected an array, a tensor or a PIL image, but got {type(picture).__name__}")


def _of_tensor(picture: Tensor) -> tuple[Tensor, Give]:
    if picture.ndim not in (3, 4) or picture.shape[-3] not in (1, 3, 4):
        raise TweenError(
            f"expected a tensor c h w or b c h w of 1, 3 or 4 channels, but got {tuple(picture.shape)}"
        )
    top = _top(picture, picture.dtype.is_floating_point)
    batched = picture if picture.ndim == 4 else picture[None]

    def give(made: Tensor) -> Tensor:
        made = made if picture.ndim == 4 else made[0]
        made = made if picture.dtype.is_floating_point else (made * top).round()
        return made.to(picture.device, picture.dtype)

    return batched.float() / top, give


def _of_array(picture: np.ndarray) -> tuple[Tensor, Give]:
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (1, 3, 4)):
        raise TweenError(
            f"expected an array h w c of 1, 3 or 4 channels, or h w, but got shape {picture.shape}"
        )
    real = np.issubdtype(picture.dtype, np.floating)
    top = _top(picture, real)
    planes = picture if picture.ndim == 3 else picture[..., None]

    def give(made: Tensor) -> np.ndarray:
        values = made[0].permute(1, 2, 0).numpy().astype(np.float64)
        values = values if real else (values * top).round()
        return np.ascontiguousarray(values.reshape(picture.shape).astype(picture.dtype))

    return torch.from_numpy(np.ascontiguousarray(planes, np.float32) / top).permute(2, 0, 1)[None], give


def _of_image(picture: Any) -> tuple[Tensor, Give]:
    from PIL import Image

    if picture.mode in ("F", "I"):
        raise TweenError(
            f"expected a PIL image of 8 or 16 bits, but got mode {picture.mode}; pass an array in [0, 1]"
        )
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode in ("L", "I;16", "RGB", "RGBA"):
        mode = picture.mode
    tensor, array = _of_array(np.asarray(picture.convert(mode)))
    return tensor, lambda made: Image.fromarray(array(made))


def _top(pixels: Any, real: bool) -> float:
    tops = {"uint8": 255.0, "uint16": 65535.0}
    name = str(pixels.dtype).removeprefix("torch.")
    if real and 0 not in pixels.shape and (largest := float(pixels.max())) > _LARGEST:
        raise TweenError(
            f"expected floats in [0, 1], but the largest is {largest:g}; divide them by their range"
        )
    if not real and name not in tops:
        raise TweenError(f"expected pixels as uint8, uint16 or floats in [0, 1], but got {name}")
    return 1.0 if real else tops[name]


def describe(picture: Any) -> str:
    """Kind and size of a picture, for a message."""
    size = getattr(picture, "shape", None) or getattr(picture, "size", "")
    return f"{type(picture).__name__} {tuple(size)}"
