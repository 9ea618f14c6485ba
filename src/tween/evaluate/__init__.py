"""Floor 6: how good a filler is on a dataset, by the papers' protocols, and what a network costs."""

from tween.evaluate.middle import Row, Table, middle_frames
from tween.evaluate.protocols import PROTOCOLS, choose

__all__ = ["PROTOCOLS", "Row", "Table", "choose", "middle_frames"]
