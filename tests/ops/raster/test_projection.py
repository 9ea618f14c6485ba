"""Projection against gsplat's own PyTorch reference, and against the derivative of the pinhole map by autograd."""

import pytest
import torch

from tests.ops.raster.clouds import ODD, cloud
from tween.ops.raster import Camera, moved, pinhole, project
from tween.ops.raster.projection import rotation

CAMERAS = [ODD, Camera(12.0, 25.0, -3.0, 30.0, 31, 17), pinhole(40, 64)]


def published(g, camera, low_pass):
    """gsplat's radii, xy, depth, conic and compensation, for one camera at the origin."""
    from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci

    covariances, _ = _quat_scale_to_covar_preci(g.quats, g.scales, compute_preci=False)
    view = torch.eye(4, dtype=g.means.dtype).expand(2, 1, 4, 4)
    k = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    intrinsics = torch.tensor(k, dtype=g.means.dtype).expand(2, 1, 3, 3)
    size = camera.width, camera.height
    out = _fully_fused_projection(
        g.means, covariances, view, intrinsics, *size, eps2d=low_pass, calc_compensations=True
    )
    return [t[:, 0] for t in out]


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("low_pass", [0.3, 0.05])
def test_is_gsplats(camera, low_pass):
    g = cloud(200)
    radii, xy, depth, conic, compensation = published(g, camera, low_pass)
    seen = project(g, camera, low_pass=low_pass, compensate=True)
    visible = (seen.extent > 0).all(-1)
    assert 50 < visible.sum() < 390
    drawn_there = (radii > 0).all(-1) & (g.opacity * compensation >= 1 / 255)
    size = xy.new_tensor((camera.width, camera.height))
    assert drawn_there[visible].all()  # its boxes are wider: of whole pixels, and blind to opacity
    assert visible[drawn_there & (xy > 0).all(-1) & (xy < size).all(-1)].all()
    opacity = g.opacity * compensation
    for got, want in ((seen.xy, xy), (seen.depth, depth), (seen.conic, conic), (seen.opacity, opacity)):
        torch.testing.assert_close(got[visible], want[visible], rtol=1e-9, atol=1e-12)


def test_gradients_are_gsplats():
    g = cloud(50)
    leaves = [t.requires_grad_() for t in (g.means, g.quats, g.scales)]
    visible = (project(g, ODD).extent > 0).all(-1)
    _, xy, _, conic, compensation = published(g, ODD, 0.3)
    seen = project(g, ODD, compensate=True)
    weights = torch.rand(2, 50, 6, dtype=torch.float64)
    want, got = (
        (torch.cat((a, b, c[..., None]), -1) * weights)[visible].sum()
        for a, b, c in ((xy, conic, g.opacity * compensation), (seen.xy, seen.conic, seen.opacity))
    )
    for a, b in zip(torch.autograd.grad(got, leaves), torch.autograd.grad(want, leaves), strict=True):
        torch.testing.assert_close(a[visible], b[visible], rtol=1e-8, atol=1e-8)


def test_is_the_derivative_of_the_pinhole_map():
    """Sigma' = J Sigma J^T + 0.3 I with J by autograd, for Gaussians inside the picture."""
    g, camera = cloud(60, b=1), pinhole(40, 64)
    seen = project(g, camera)
    inside = (seen.extent > 0).all(-1) & (seen.xy > 0).all(-1) & (seen.xy < torch.tensor((64, 40))).all(-1)
    assert inside.sum() > 10

    def pinhole_map(p):
        return torch.stack((camera.fx * p[0] / p[2] + camera.cx, camera.fy * p[1] / p[2] + camera.cy))

    for i in inside[0].nonzero()[:, 0]:
        mean, axes = g.means[0, i], rotation(g.quats[0, i]) * g.scales[0, i]
        j = torch.func.jacrev(pinhole_map)(mean)
        covariance = j @ axes @ axes.T @ j.T + 0.3 * torch.eye(2, dtype=torch.float64)
        xx, xy, yy = seen.conic[0, i]
        conic = torch.stack((xx, xy, xy, yy)).view(2, 2)
        torch.testing.assert_close(conic @ covariance, torch.eye(2, dtype=torch.float64), atol=1e-9, rtol=0)
        torch.testing.assert_close(seen.xy[0, i], pinhole_map(mean))


def test_extent_is_where_alpha_is_1_of_255():
    """Half a box whose sides touch the ellipse: on them alpha is at most 1/255, and reaches it."""
    seen = project(cloud(100), pinhole(40, 64))
    visible = (seen.extent > 0).all(-1)
    xx, xy, yy = seen.conic[visible].unbind(-1)
    ex, ey = seen.extent[visible].unbind(-1)
    for along, own, other in ((ex, xx, yy), (ey, yy, xx)):
        least = (own - xy * xy / other) * along * along  # d^T conic d, least over the other axis
        alpha = seen.opacity[visible] * (-0.5 * least).exp()
        assert (alpha <= 1 / 255).all()
        assert (alpha > 0.99 / 255).all()


def test_rotation_is_a_rotation():
    r = rotation(torch.randn(20, 4, dtype=torch.float64))
    torch.testing.assert_close(r @ r.mT, torch.eye(3, dtype=torch.float64).expand(20, 3, 3))
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(20, dtype=torch.float64))
    quarter = rotation(torch.tensor([1.0, 0.0, 0.0, 1.0]))
    torch.testing.assert_close(
        quarter @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0
    )


def test_moved_turns_places_and_shapes_alike():
    g = cloud(15)
    quat = torch.nn.functional.normalize(torch.randn(2, 4, dtype=torch.float64), dim=-1)
    shift = torch.randn(2, 3, dtype=torch.float64)
    there, turn = moved(g, quat, shift), rotation(quat)[:, None]
    torch.testing.assert_close(there.means, (turn @ g.means[..., None])[..., 0] + shift[:, None])
    torch.testing.assert_close(rotation(there.quats), turn @ rotation(g.quats))
    assert there.colour is g.colour
