"""VGG-19 up to relu5_1 (Simonyan and Zisserman, ICLR 2015), its layers named as torchvision names them."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from tween.nn.published import SERVER, fill, place, read, tapped

FILE = "vgg19-dcbb9e9d.pth"
WIDTHS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))  # of each block: channels, convolutions
TAPS = (2, 7, 12, 21, 30)
"""Layers after which features are taken: relu1_1, relu2_1, relu3_1, relu4_1, relu5_1."""


class Vgg19(nn.Module):
    """RGB `b 3 h w` in [0, 1], sides of 16 px and more -> features after each of `TAPS`: 64, 128, 256, 512 and 512
    channels at 1, 1/2, 1/4, 1/8 and 1/16 of the size."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = 3
        for block, (width, count) in enumerate(WIDTHS):
            layers += [nn.MaxPool2d(2)] if block else []
            for _ in range(count):
                layers += [nn.Conv2d(c_in, width, 3, padding=1), nn.ReLU()]
                c_in = width
        self.features = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of RGB; the code in circulation feeds BGR, which the weights were not trained on."""
        return tapped(self.features, image, TAPS)


def vgg19(path: Path | None = None) -> Vgg19:
    """With torchvision's weights, frozen, on the CPU.

    Args:
        path: torchvision's state_dict file; by default `vgg19-dcbb9e9d.pth` where torch keeps downloads.

    Raises:
        TweenError: if the file is not there or not VGG-19's.
    """
    path = path or place(FILE)
    net = Vgg19()
    fill(net, read(path, "the VGG loss", SERVER + FILE), path)
    return net
