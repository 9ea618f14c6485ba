"""Moving pixels along flow."""

from tween.ops.warp.reference import backward_warp, forward_splat, pixel_grid, resize_flow

__all__ = ["backward_warp", "forward_splat", "pixel_grid", "resize_flow"]
