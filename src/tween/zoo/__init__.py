"""Floor 5: released fillers. `load("fast")` gives a ready one; `ZOO` lists them."""

from tween.zoo.load import load, place
from tween.zoo.registry import ZOO, Entry

__all__ = ["ZOO", "Entry", "load", "place"]
