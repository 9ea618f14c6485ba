"""Floor 3: what training pulls at. Plain functions on `b c h w` floats that return a scalar."""

from tween.losses.flow import distillation, flow_epe, flow_smoothness
from tween.losses.image import census, charbonnier, laplacian, ssim_loss

__all__ = ["census", "charbonnier", "distillation", "flow_epe", "flow_smoothness", "laplacian", "ssim_loss"]
