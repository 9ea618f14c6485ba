"""Floor 5: released fillers. `load("fast")` gives a ready one; `ZOO` lists them."""

from tween.zoo.load import load, place
from tween.zoo.registry import ZOO, Entry, fillers

__all__ = ["ZOO", "Entry", "fillers", "load", "place"]
