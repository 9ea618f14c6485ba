"""Floor 4: trains any `Task`; knows no model."""

from tween.engine.loop import train
from tween.engine.optim import Optim
from tween.engine.run import Report, Run

__all__ = ["Optim", "Report", "Run", "train"]
