"""The drifting field and its loss: what pulls generated samples to real ones and pushes them off each other."""

from tween.ops.drift.loss import TEMPERATURES, Weights, drift_field, drift_loss, pack, unconditional

__all__ = ["TEMPERATURES", "Weights", "drift_field", "drift_loss", "pack", "unconditional"]
