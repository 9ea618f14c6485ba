"""AlexNet's convolutions in torchvision's form (Krizhevsky, arXiv:1404.5997), its layers named as there."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from tween.nn.published import SERVER, fill, place, read, tapped

FILE = "alexnet-owt-7be5be79.pth"
TAPS = (2, 5, 8, 10, 12)
"""Layers after which features are taken: each of the five ReLUs."""
WIDTHS = (64, 192, 384, 256, 256)


class AlexNet(nn.Module):
    """RGB `b 3 h w` in [0, 1], sides of 31 px and more -> features of `WIDTHS` channels after each ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features after each of `TAPS`."""
        return tapped(self.features, image, TAPS)


def alexnet(path: Path | None = None) -> AlexNet:
    """With torchvision's weights, frozen, on the CPU.

    Args:
        path: torchvision's state_dict file; by default `alexnet-owt-7be5be79.pth` where torch keeps downloads.

    Raises:
        TweenError: if the file is not there or not AlexNet's.
    """
    path = path or place(FILE)
    net = AlexNet()
    fill(net, read(path, "LPIPS", SERVER + FILE), path)
    return net
