"""Weights that others published: found on disk, never fetched behind the user's back."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tween.core import TweenError

SERVER = "https://download.pytorch.org/models/"


def place(name: str) -> Path:
    """Where torch keeps a downloaded file called `name`."""
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def read(path: Path, what: str, source: str) -> dict[str, Tensor]:
    """The tensors of a state_dict file (.pth or .safetensors), on the CPU.

    Args:
        what: needs the file, as the beginning of a sentence.
        source: where the file is had.

    Raises:
        TweenError: if the file is not there, or holds something else.
    """
    if not path.is_file():
        raise TweenError(f"{what} needs the weights {path}, which are not there; get them from {source}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception:  # what is no pickle is read as one, and may fail as anything
        raise TweenError(
            f"{path} should be a state_dict of tensors, but cannot be read as one; get it anew from {source}"
        ) from None


def fill(net: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy into `net` those of `tensors` that it has; it must find all of its own.

    Raises:
        TweenError: if one is missing or has another shape.
    """
    wanted = net.state_dict()
    wrong = [k for k, v in wanted.items() if k not in tensors or tensors[k].shape != v.shape]
    if wrong:
        raise TweenError(
            f"{path} should be the weights of {type(net).__name__}, but its {wrong[0]} does not fit"
        )
    net.load_state_dict({k: tensors[k] for k in wanted})
    net.requires_grad_(False).eval()


def normalised(image: Tensor) -> Tensor:
    """RGB `b 3 h w` in [0, 1] by ImageNet's mean and deviation, as torchvision's networks were trained."""
    mean = torch.tensor((0.485, 0.456, 0.406), device=image.device).view(3, 1, 1)
    deviation = torch.tensor((0.229, 0.224, 0.225), device=image.device).view(3, 1, 1)
    return (image - mean) / deviation


def tapped(layers: nn.Sequential, image: Tensor, taps: Collection[int]) -> list[Tensor]:
    """What `layers` make of an RGB image `b 3 h w` in [0, 1], after each layer numbered in `taps` (from 1 on)."""
    x, taken = normalised(image), []
    for count, layer in enumerate(layers, 1):
        x = layer(x)
        if count in taps:
            taken.append(x)
    return taken
