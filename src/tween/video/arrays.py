"""What the conversion of colours asks of numpy arrays and of tensors alike, each done the way that is quick for it.

Numpy on the CPU: torch's threads would compete with the decoder's and the network's. Tensors on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

Array = TypeVar("Array", np.ndarray, Tensor)


def by_torch(device: Any) -> bool:
    """Whether colours are converted on `device` itself, by torch, and not by numpy in main memory."""
    return torch.device(device).type == "cuda"


def of(pixels: Tensor) -> np.ndarray | Tensor:
    """Float pixels as the array that they are converted as."""
    pixels = pixels.detach().float()
    return pixels if by_torch(pixels.device) else pixels.cpu().numpy()


def host(arrays: Sequence[Array]) -> list[np.ndarray]:
    """The same in main memory; from a GPU by way of page-locked memory, which is several times faster."""
    if isinstance(arrays[0], np.ndarray):
        return list(arrays)
    pin = arrays[0].is_cuda
    there = [torch.empty(x.shape, dtype=x.dtype, pin_memory=pin).copy_(x, non_blocking=pin) for x in arrays]
    if pin:
        torch.cuda.current_stream(arrays[0].device).synchronize()
    return [x.numpy() for x in there]


def empty(like: Array, *shape: int) -> Array:
    """Room for floats, of the kind and on the device of `like`."""
    if isinstance(like, Tensor):
        return torch.empty(shape, device=like.device)
    return np.empty(shape, np.float32)


def floats(planes: Sequence[Array]) -> Array:
    """Planes `h w` of one size as `c h w` float32."""
    if isinstance(planes[0], Tensor):
        return torch.stack([plane.float() for plane in planes])
    return np.stack(planes).astype(np.float32, copy=False)


def mix(weights: np.ndarray, planes: Array) -> Array:
    """Weighted sums of planes, `o i` by `i h w` to `o h w`. Not a matrix product: torch may round the numbers in one,
    and numpy's threads would compete with the decoder's and the network's."""
    if isinstance(planes, Tensor):
        return torch.stack([_sum(row.tolist(), planes) for row in weights])
    return np.einsum("oi,ihw->ohw", weights.astype(planes.dtype), planes)


def _sum(weights: list[float], planes: Tensor) -> Tensor:
    total = planes[0] * weights[0]
    for weight, plane in zip(weights[1:], planes[1:], strict=True):
        total.add_(plane, alpha=weight)
    return total


def codes(plane: Array, full: int) -> Array:
    """Rounded to whole code values, uint8 or uint16. The plane itself is written over."""
    if isinstance(plane, Tensor):
        return plane.round_().clamp_(0, full).to(torch.uint8 if full < 256 else torch.uint16)
    np.rint(plane, out=plane)
    np.clip(plane, 0, full, out=plane)
    return plane.astype(np.uint8 if full < 256 else np.uint16)


def joined(parts: Sequence[Array]) -> Array:
    """Parts of a plane, one below the other."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def at(axis: int, start: int | None, stop: int | None, step: int | None = None) -> tuple[slice, ...]:
    """The index of a slice along `axis`."""
    return (slice(None),) * axis + (slice(start, stop, step),)


def after(x: Array, axis: int) -> Array:
    """Each sample's next along an axis of `c h w`, the last one's being itself.

    In numpy the shift goes over the whole memory at once, which is several times faster than row by row.
    """
    if isinstance(x, Tensor):
        return torch.cat([x[at(axis, 1, None)], x[at(axis, -1, None)]], axis)
    x = np.ascontiguousarray(x)
    out, stride = np.empty_like(x), x.shape[2] if axis == 1 else 1
    out.reshape(-1)[:-stride] = x.reshape(-1)[stride:]
    out[at(axis, -1, None)] = x[at(axis, -1, None)]
    return out


def before(x: Array, axis: int) -> Array:
    """Each sample's last along an axis, the first one's being itself."""
    if isinstance(x, Tensor):
        return torch.cat([x[at(axis, 0, 1)], x[at(axis, 0, -1)]], axis)
    x = np.ascontiguousarray(x)
    out, stride = np.empty_like(x), x.shape[2] if axis == 1 else 1
    out.reshape(-1)[stride:] = x.reshape(-1)[:-stride]
    out[at(axis, 0, 1)] = x[at(axis, 0, 1)]
    return out


def woven(even: Array, odd: Array, size: int, axis: int) -> Array:
    """The first `size` of even and odd samples in turns along an axis. OpenCV does it along rows several times
    faster than strided slices do."""
    if isinstance(even, Tensor):
        return torch.stack([even, odd], axis + 1).flatten(axis, axis + 1)[at(axis, None, size)]
    c, h, w = even.shape
    if axis == 2:
        return cv2.merge([even.reshape(c * h, w), odd.reshape(c * h, w)]).reshape(c, h, 2 * w)[..., :size]
    return np.stack([even, odd], 2).reshape(c, 2 * h, w)[:, :size]


def parted(x: Array, axis: int) -> tuple[Array, Array]:
    """The even and the odd samples along an axis, as many of both: the last is repeated where an odd one lacks."""
    if x.shape[axis] % 2:
        last = x[at(axis, -1, None)]
        x = torch.cat([x, last], axis) if isinstance(x, Tensor) else np.concatenate([x, last], axis)
    if axis == 1 or isinstance(x, Tensor):
        return x[at(axis, 0, None, 2)], x[at(axis, 1, None, 2)]
    c, h, w = x.shape
    even, odd = cv2.split(np.ascontiguousarray(x).reshape(c * h, w // 2, 2))
    return even.reshape(c, h, -1), odd.reshape(c, h, -1)
