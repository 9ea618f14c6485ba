"""Floor 4: what is trained and measured on."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tween.data import middlebury, triplets, ucf101
from tween.data.triplets import Triplet

DATASETS: dict[str, Callable[[Path], Sequence[Triplet]]] = {
    "triplets": triplets.read,
    "middlebury": middlebury.read,
    "ucf101": ucf101.read,
}

__all__ = ["DATASETS", "Triplet"]
