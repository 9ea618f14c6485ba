"""The Triton kernels against the plain form: in the interpreter here, and on a GPU by `make test-gpu`."""

import pytest
import torch

from tests.ops.raster.clouds import ODD, close, cloud, dense, values_and_gradients
from tween.core import TweenError
from tween.ops.raster import Camera, fused, render

pytest.importorskip("triton", reason="triton is for Linux; the test extra brings it there")

CUDA = torch.cuda.is_available()
cpu_only = pytest.mark.skipif(CUDA, reason="the interpreter's turn is where there is no GPU")


@cpu_only
@pytest.mark.parametrize(("tile", "k", "block"), [(4, 1, 16), (7, 3, 32), (8, 15, 16), (16, 3, 16)])
def test_is_the_reference(tile, k, block, monkeypatch):
    monkeypatch.setitem(fused.FORWARD, "G", block)
    monkeypatch.setitem(fused.BACKWARD, "G", block)
    g = cloud(70, b=2, k=k, dtype=torch.float32)
    want = values_and_gradients(g.map(torch.Tensor.double), ODD, backend="reference")
    close(values_and_gradients(g, ODD, tile=tile, backend="triton"), want, 1e-3)


@cpu_only
def test_an_empty_cloud_and_empty_tiles():
    for n in (0, 1):
        g = cloud(n, b=1, dtype=torch.float32, size=0.01)
        want = values_and_gradients(g, ODD, backend="reference")
        close(values_and_gradients(g, ODD, tile=8, backend="triton"), want, 1e-5)


@cpu_only
def test_stops_where_the_light_is_out():
    """Opaque layers, more of them than a block: those behind are neither drawn nor have a gradient."""
    g = cloud(100, b=1, dtype=torch.float32, size=3.0)
    g.opacity.fill_(0.99)
    want = values_and_gradients(g.map(torch.Tensor.double), ODD, backend="reference")
    close(values_and_gradients(g, ODD, tile=8, backend="triton"), want, 1e-3)


def test_what_it_cannot_do_is_refused_in_a_sentence(monkeypatch):
    with pytest.raises(TweenError, match="float32"):
        render(cloud(3), ODD, backend="triton")
    g = cloud(3, dtype=torch.float32)
    with pytest.raises(TweenError, match="at most 32 px"):
        render(g, ODD, backend="triton", tile=33)
    monkeypatch.setattr(fused, "INTERPRETED", False)
    with pytest.raises(TweenError, match="on CUDA, but Triton is installed and they are on cpu"):
        render(g, ODD, backend="triton")
    monkeypatch.setattr(fused, "TRITON", False)
    with pytest.raises(TweenError, match="not installed"):
        render(g, ODD, backend="triton")


@pytest.mark.gpu
@pytest.mark.parametrize("tile", [4, 8, 16])
@pytest.mark.parametrize("k", [3, 9])
def test_on_a_gpu_is_the_reference(tile, k):
    g = cloud(300, k=k, dtype=torch.float32, size=0.1)
    want = values_and_gradients(g.map(torch.Tensor.double), ODD, backend="reference")
    on_gpu = g.map(torch.Tensor.cuda)
    close(values_and_gradients(on_gpu, ODD, tile=tile, backend="triton"), want, 1e-3)
    close(values_and_gradients(on_gpu, ODD, tile=tile, backend="torch"), want, 1e-3)
    close(values_and_gradients(on_gpu.map(torch.Tensor.double), ODD, tile=tile, backend="torch"), want, 1e-9)


@pytest.mark.gpu
def test_on_a_gpu_a_whole_frame():
    g, camera = dense(181, 255, frames=2, b=2, k=6)
    g = g.map(torch.Tensor.cuda)
    want = values_and_gradients(g.map(torch.Tensor.double), camera, backend="torch")
    # among millions of pairs a few alphas lie so near 1/255 that rounding decides whether they are drawn
    close(values_and_gradients(g, camera), want, 5e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("compensate", [False, True])
def test_on_a_gpu_is_gsplat(compensate):
    pytest.importorskip("gsplat", reason="the splat extra brings it")
    camera = Camera(300.0, 280.0, 120.0, 90.0, 181, 255)
    g = cloud(2000, k=4, dtype=torch.float32, size=0.02).map(torch.Tensor.cuda)
    want = values_and_gradients(g, camera, backend="gsplat", compensate=compensate)
    close(values_and_gradients(g, camera, compensate=compensate), want, 5e-3)
