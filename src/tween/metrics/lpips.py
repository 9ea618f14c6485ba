"""LPIPS (Zhang et al., CVPR 2018), version 0.1 on AlexNet: the form interpolation papers report."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from tween.core import TweenError
from tween.nn.alexnet import WIDTHS, AlexNet, alexnet
from tween.nn.published import place, read

LINEAR = "lpips_alex.pth"
SHIPPED = {"lpips": "weights/v0.1/alex.pth", "torchmetrics": "functional/image/lpips_models/alex.pth"}
SOURCE = "pip install torchmetrics, which ships them"


class Lpips(nn.Module):
    """Weighted squared distance of unit-length features, meaned over the places of each level, summed over five.

    Args:
        net: picture -> five feature maps.
        linear: the learned weight of each channel, level by level.
    """

    def __init__(self, net: AlexNet, linear: list[Tensor]) -> None:
        super().__init__()
        self.net = net
        for i, weights in enumerate(linear):
            self.register_buffer(f"linear{i}", weights.view(-1, 1, 1))

    @torch.inference_mode()
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """`b 3 h w` RGB in [0, 1] twice, sides of 31 px and more -> `b` distances, 0 where they agree."""
        if prediction.shape != target.shape or min(prediction.shape[-2:]) < 31:
            got = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
            raise TweenError(
                f"LPIPS compares pictures of one size with sides of 31 px and more, but got {got}"
            )
        total = 0.0
        pairs = zip(self.net(prediction.float()), self.net(target.float()), strict=True)
        for i, (a, b) in enumerate(pairs):
            apart = (unit(a) - unit(b)) ** 2 * getattr(self, f"linear{i}")
            total = total + apart.sum(1).mean((-1, -2))
        return total


def unit(features: Tensor) -> Tensor:
    """Of length 1 over the channels."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def load_lpips(net: Path | None = None, linear: Path | None = None) -> Lpips:
    """With the published weights, on the CPU.

    Args:
        net: torchvision's AlexNet; by default where torch keeps downloads.
        linear: `alex.pth` of LPIPS 0.1; by default there too (as lpips_alex.pth), or in an installed `lpips` or
            `torchmetrics`.

    Raises:
        TweenError: if one of the two files is not there or not what it should be.
    """
    path = linear or _linear()
    tensors = read(path, "LPIPS", SOURCE)
    names = [f"lin{i}.model.1.weight" for i in range(len(WIDTHS))]
    if [tensors[n].numel() if n in tensors else 0 for n in names] != list(WIDTHS):
        raise TweenError(f"{path} should be LPIPS 0.1's weights for AlexNet, but is not; {SOURCE}")
    return Lpips(alexnet(net), [tensors[n].float() for n in names])


def _linear() -> Path:
    """The first place that has the learned weights; torch's own where none has."""
    for package, inside in SHIPPED.items():
        spec = None if place(LINEAR).is_file() else find_spec(package)
        folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
        if folder and (Path(folder) / inside).is_file():
            return Path(folder) / inside
    return place(LINEAR)
