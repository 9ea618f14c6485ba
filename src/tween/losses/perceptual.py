"""Distance of two pictures in the features of a network that learned to name things."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WEIGHTS = (1 / 2.6, 1 / 4.8, 1 / 3.7, 1 / 5.6, 10 / 1.5)
"""Of relu1_1 ... relu5_1 (Chen and Koltun, ICCV 2017)."""


def perceptual(prediction: Tensor, target: Tensor, net: Callable[[Tensor], Sequence[Tensor]]) -> Tensor:
    """Weighted sum over five levels of the mean absolute difference of features, times 0.1 (RIFE's VGG loss, in RGB).

    Args:
        prediction, target: `b 3 h w` RGB in [0, 1]; no gradient goes into `target`.
        net: picture -> five feature maps, as `tween.nn.vgg.Vgg19` gives them.
    """
    with torch.no_grad():
        wanted = net(target)
    found = net(prediction)
    terms = (w * (a - b).abs().float().mean() for w, a, b in zip(WEIGHTS, found, wanted, strict=True))
    return 0.1 * sum(terms)
