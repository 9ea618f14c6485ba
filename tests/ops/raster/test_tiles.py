"""Tiles == every Gaussian on every pixel, in value and every gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.raster.clouds import NAMES, ODD, close, cloud, dense, values_and_gradients
from tween.core import TweenError
from tween.ops.raster import Camera, Gaussians, pinhole, project, render, tiles
from tween.ops.raster.lists import groups, intersect


@pytest.mark.parametrize("tile", [1, 3, 4, 16, 64])
def test_is_the_reference(tile):
    g, background = cloud(60), torch.tensor([0.1, 0.2, 0.3])
    want = values_and_gradients(g, ODD, backend="reference", background=background)
    close(values_and_gradients(g, ODD, tile=tile, backend="torch", background=background), want, 1e-11)


@pytest.mark.parametrize("budget", [1, 100, 3000])
def test_a_small_budget_changes_nothing(budget, monkeypatch):
    """Lists are then cut into many slices, with light and debts carried from one to the next."""
    want = values_and_gradients(cloud(60), ODD, backend="torch")
    monkeypatch.setitem(tiles.BUDGET, "cpu", budget)
    close(values_and_gradients(cloud(60), ODD, backend="torch", tile=8), want, 1e-11)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 25), h=st.integers(1, 21), w=st.integers(1, 21), k=st.integers(1, 9), tile=st.integers(1, 9),
    size=st.sampled_from([1e-4, 0.02, 0.5, 30.0]), seed=st.integers(0, 99), compensate=st.booleans(),
)  # fmt: skip
def test_any_cloud(n, h, w, k, tile, size, seed, compensate):
    g, camera = cloud(n, seed, k=k, size=size, b=1), Camera(20.0, 17.0, w / 3, h / 2, h, w)
    options = {"compensate": compensate, "low_pass": 0.2}
    want = values_and_gradients(g, camera, backend="reference", **options)
    got = values_and_gradients(g, camera, backend="torch", tile=tile, **options)
    close(got, want, 1e-9)
    assert all(v.isfinite().all() for v in got.values())
    assert got["alpha"].min() >= 0
    assert got["alpha"].max() <= 1


def test_gradcheck():
    g = cloud(6, seed=3, b=2, k=2)
    camera = Camera(8.0, 9.0, 3.0, 2.5, 5, 6)
    leaves = [getattr(g, name).requires_grad_() for name in NAMES]

    def run(*values, **options):
        return tuple(render(Gaussians(*values), camera, low_pass=0.5, **options))

    assert run(*leaves)[1].mean() > 0.3
    for backend in ("torch", "reference"):
        assert torch.autograd.gradcheck(lambda *v, b=backend: run(*v, backend=b), leaves)
    assert torch.autograd.gradcheck(lambda *v: run(*v, compensate=True), leaves)


def test_single_precision():
    g = cloud(200, b=1, dtype=torch.float32, size=0.05)
    want = values_and_gradients(g.map(torch.Tensor.double), ODD, backend="reference")
    close(values_and_gradients(g, ODD, backend="torch"), want, 1e-3)


def test_opaque_layers_are_drawn_in_order_of_depth():
    """Of 40 layers in one place the nearest covers all but 1/1000, and the light goes out after the first."""
    n = 40
    z = torch.rand(1, n, dtype=torch.float64) + 1
    means = torch.stack((0 * z, 0 * z, z), -1)
    quats = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(1, n, 4)
    g = Gaussians(
        means, quats, torch.full_like(means, 50.0), torch.ones_like(z), torch.rand(1, n, 2).double()
    )
    out = render(g, pinhole(3, 3))
    first = z.argmin()
    torch.testing.assert_close(out.depth, z[0, first].expand(1, 1, 3, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.alpha, torch.full_like(out.alpha, 0.999), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        out.colour, 0.999 * g.colour[:, first, :, None, None].expand(1, 2, 3, 3), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("what", ["behind", "transparent", "beside", "not a number", "infinite", "none"])
def test_what_is_not_seen_leaves_the_background_and_no_gradient(what, backend):
    g = cloud(0 if what == "none" else 5, b=1)
    edit = {
        "behind": lambda: g.means[..., 2].copy_(-g.means[..., 2].abs()),
        "transparent": lambda: g.opacity.zero_(),
        "beside": lambda: g.means.copy_(torch.tensor([900.0, 0.0, 1.0])),
        "not a number": lambda: g.means.fill_(torch.nan),
        "infinite": lambda: g.means.fill_(torch.inf),
        "none": lambda: None,
    }
    edit[what]()
    background = torch.tensor([0.1, 0.2, 0.3])
    got = values_and_gradients(g, ODD, backend=backend, background=background)
    torch.testing.assert_close(got["colour"], background.double().view(1, 3, 1, 1).expand(1, 3, 19, 23))
    assert all((got[name] == 0).all() for name in ("alpha", "depth", *(f"d {n}" for n in NAMES)))


def test_pixels_that_nothing_reaches_and_huge_gaussians_have_finite_gradients():
    g = cloud(4, b=1)
    g.scales[:, 0] = 1e6
    g.scales[:, 1] = 0.0
    g.means[:, 2] = torch.tensor([0.0, 0.0, 0.0101])
    want = values_and_gradients(g, ODD, backend="reference", compensate=True)
    assert all(v.isfinite().all() for v in want.values())
    close(values_and_gradients(g, ODD, backend="torch", compensate=True), want, 1e-9)


def test_a_frame_of_small_gaussians():
    g, camera = dense(18, 25, frames=2, b=2, dtype=torch.float64)
    want = values_and_gradients(g, camera, backend="reference")
    close(values_and_gradients(g, camera, backend="torch"), want, 1e-11)
    assert want["alpha"].min() > 0.5


def test_half_precision_and_autocast_render_in_single():
    g = cloud(20, b=1, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        got = render(g, ODD)
    assert got.colour.dtype == torch.float32
    torch.testing.assert_close(got.colour, render(g.map(torch.Tensor.float), ODD).colour)


def test_lists_hold_every_pair_once_front_to_back():
    g = cloud(80)
    seen = project(g, ODD)
    lists = intersect(seen, ODD, 4)
    depth = seen.depth.flatten()
    per_image = lists.rows * lists.columns
    for tile, (a, b) in enumerate(zip(lists.start[:-1].tolist(), lists.start[1:].tolist(), strict=True)):
        ids = lists.ids[a:b]
        assert len(ids.unique()) == len(ids)
        assert (ids // 80 == tile // per_image).all()
        assert (depth[ids].diff() >= 0).all()
    assert lists.start[-1] == len(lists.ids) > 0
    taken = [len(t) * steps[-1][1] * 16 for t, steps in groups(lists, 2000)]
    assert max(taken) <= 2000
    assert sum(len(t) for t, _ in groups(lists, 2000)) == (lists.start.diff() > 0).sum()


def test_memory_is_bounded_by_the_budget(monkeypatch):
    """Nothing that is kept for the backward pass is as large as pixels x Gaussians, nor is any block."""
    g, camera = dense(64, 64, frames=2)
    leaves = g.map(lambda t: t.clone().requires_grad_())
    monkeypatch.setitem(tiles.BUDGET, "cpu", 2**14)
    largest = []
    front_to_back = tiles._front_to_back
    monkeypatch.setattr(
        tiles, "_front_to_back", lambda *a: (largest.append(x.weight.numel()) or x for x in front_to_back(*a))
    )
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        out = render(leaves, camera, backend="torch")
    out.colour.sum().backward()
    n, pixels = g.opacity.numel(), 64 * 64
    assert max(kept) <= max(9 * n, 6 * pixels)
    assert max(largest) <= 2**14


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backend": "cuda"}, "one of auto, torch"),
        ({"backend": "gsplat"}, "CUDA only"),
        ({"tile": 0}, "at least 1 px"),
        ({"low_pass": -1.0}, "low_pass of 0 or more"),
        ({"background": torch.zeros(4)}, "one value a channel"),
    ],
)
def test_errors_say_what_to_do(options, words):
    with pytest.raises(TweenError, match=words):
        render(cloud(3), ODD, **options)


def test_shapes_types_and_cameras_are_checked():
    g = cloud(3)
    with pytest.raises(TweenError, match=r"opacity \(b, n\)"):
        Gaussians(g.means, g.quats, g.scales, g.opacity[..., None], g.colour)
    with pytest.raises(TweenError, match=r"quats \(2, 3, 3\)"):
        Gaussians(g.means, g.scales, g.scales, g.opacity, g.colour)
    with pytest.raises(TweenError, match="one floating-point type"):
        render(Gaussians(g.means.float(), g.quats, g.scales, g.opacity, g.colour), ODD)
    with pytest.raises(TweenError, match="at least 1x1"):
        Camera(1.0, 1.0, 0.0, 0.0, 0, 5)
