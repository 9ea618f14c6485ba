"""Floor 3: what training pulls at. Plain functions on `b c h w` floats that return a scalar."""

from tween.losses.composite import CompositeWeights, composite
from tween.losses.flow import distillation, flow_epe, flow_smoothness, teacher_distillation
from tween.losses.geometry import geometry
from tween.losses.image import census, charbonnier, laplacian, ssim_loss
from tween.losses.perceptual import perceptual

__all__ = [
    "CompositeWeights",
    "census",
    "charbonnier",
    "composite",
    "distillation",
    "flow_epe",
    "flow_smoothness",
    "geometry",
    "laplacian",
    "perceptual",
    "ssim_loss",
    "teacher_distillation",
]
